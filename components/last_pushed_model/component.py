# SPDX-License-Identifier: Apache-2.0
"""The contract of LastPushedModel: its parameters and its output."""

from __future__ import annotations

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import channel_utils, component_spec, standard_artifacts

from components.last_pushed_model.executor import Executor


class LastPushedModelSpec(component_spec.ComponentSpec):
    """Parameters and output of LastPushedModel."""

    PARAMETERS = {
        "push_destination": component_spec.ExecutionParameter(type=str),
        "root": component_spec.ExecutionParameter(type=str, optional=True),
    }
    INPUTS = {}
    OUTPUTS = {"model": component_spec.ChannelParameter(type=standard_artifacts.Model)}


class LastPushedModel(base_component.BaseComponent):
    """Copies the newest version below the folder that the Pusher pushes to.

    It is the baseline of an evaluation and the start of a training where no Resolver can be used:
    Kubeflow Pipelines v2 has none, and that of Vertex AI finds the models of all pipelines of a
    project. The copy stays when the Pusher removes old versions. A version that was withdrawn is
    not found.

    Without any version, the custom property `found` of the output is 0, and it has no files; see
    `components.earlier_model`. The step must not be cached.

    ```
    earlier = LastPushedModel(push_destination="/models/pets")
    trainer = Trainer(..., base_model=earlier.outputs["model"])
    ```
    """

    SPEC_CLASS = LastPushedModelSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, push_destination: str, root: str | None = None):
        """Makes the component.

        Args:
            push_destination: the folder of the versions, as the Pusher has it.
            root: the folder below which a relative `push_destination` is stored.
        """
        super().__init__(
            LastPushedModelSpec(
                push_destination=push_destination,
                root=root,
                model=channel_utils.as_channel([standard_artifacts.Model()]),
            )
        )
