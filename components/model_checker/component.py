# SPDX-License-Identifier: Apache-2.0
"""The contract of ModelChecker: its parameters, input and output."""

from __future__ import annotations

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import BaseChannel, channel_utils, component_spec, standard_artifacts

from components.model_checker.executor import Executor


class ModelCheckerSpec(component_spec.ComponentSpec):
    """Parameters, inputs and outputs of ModelChecker."""

    PARAMETERS = {"fingerprint": component_spec.ExecutionParameter(type=str, optional=True)}
    INPUTS = {"model": component_spec.ChannelParameter(type=standard_artifacts.Model)}
    OUTPUTS = {"blessing": component_spec.ChannelParameter(type=standard_artifacts.InfraBlessing)}


class ModelChecker(base_component.BaseComponent):
    """Blesses a model that a fresh process can load and that answers as the trained one did.

    The process has plain TensorFlow and nothing of this project. It replays the model's warm-up
    requests, compares the answers with those that were stored at export, sends batches of several
    sizes, and sends bytes that are not an image, which must fail only that request.

    The blessing is the standard InfraBlessing, so TFX's own Pusher understands it too. Where the
    model fails, the artifact's custom property `reason` says why; `check.json` has the numbers.

    It is not a subclass of TFX's InfraValidator, which needs Docker or Kubernetes, and which the
    runner for Vertex and Kubeflow v2 refuses.

    ```
    checker = ModelChecker(model=trainer.outputs["model"])
    pusher = Pusher(
        model=trainer.outputs["model"],
        infra_blessing=checker.outputs["blessing"],
        push_destination="serving",
    )
    ```
    """

    SPEC_CLASS = ModelCheckerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, model: BaseChannel, fingerprint: str | None = None):
        """Makes the component.

        Args:
            model: a channel of standard Model artifacts, exported by `mixer_tf`.
            fingerprint: the state of the code; the cached output is used while it is equal.
        """
        blessing = channel_utils.as_channel([standard_artifacts.InfraBlessing()])
        super().__init__(ModelCheckerSpec(model=model, fingerprint=fingerprint, blessing=blessing))
