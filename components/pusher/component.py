# SPDX-License-Identifier: Apache-2.0
"""The contract of Pusher: its parameters, inputs and output."""

from __future__ import annotations

from tfx.dsl.components.base import base_component, executor_spec
from tfx.dsl.placeholder.placeholder import Placeholder
from tfx.types import BaseChannel, channel_utils, component_spec, standard_artifacts

from components.pusher.executor import Executor


class PusherSpec(component_spec.ComponentSpec):
    """Parameters, inputs and outputs of Pusher."""

    PARAMETERS = {
        "push_destination": component_spec.ExecutionParameter(type=str),
        "keep_versions": component_spec.ExecutionParameter(type=int, optional=True),
        "lineage": component_spec.ExecutionParameter(type=str, optional=True),
        "fingerprint": component_spec.ExecutionParameter(type=str, optional=True),
        "data_fingerprint": component_spec.ExecutionParameter(type=str, optional=True),
        "root": component_spec.ExecutionParameter(type=str, optional=True),
    }
    INPUTS = {
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "model_blessing": component_spec.ChannelParameter(
            type=standard_artifacts.ModelBlessing, optional=True
        ),
        "infra_blessing": component_spec.ChannelParameter(
            type=standard_artifacts.InfraBlessing, optional=True
        ),
        "server_blessing": component_spec.ChannelParameter(
            type=standard_artifacts.InfraBlessing, optional=True
        ),
        "anomalies": component_spec.ChannelParameter(
            type=standard_artifacts.ExampleAnomalies, optional=True
        ),
        "drift": component_spec.ChannelParameter(
            type=standard_artifacts.ExampleAnomalies, optional=True
        ),
        "evaluation": component_spec.ChannelParameter(
            type=standard_artifacts.ModelEvaluation, optional=True
        ),
        "examples": component_spec.ChannelParameter(
            type=standard_artifacts.Examples, optional=True
        ),
    }
    OUTPUTS = {"pushed_model": component_spec.ChannelParameter(type=standard_artifacts.PushedModel)}


class Pusher(base_component.BaseComponent):
    """Copies a model to a new version below a folder that TensorFlow Serving watches.

    A model is pushed if its data have no anomalies, the Evaluator and the ModelChecker blessed
    it, and neither the newest version nor a withdrawn one is the same model. Without a blessing of
    the Evaluator its metrics decide: the model must be right more often than always predicting the
    largest class of the test split. Gates that are not connected are skipped. A version appears
    complete, under its final name, or not at all; in a bucket its files appear one by one. Its
    `assets.extra/lineage.json` says where it comes from, and `assets.extra/MODEL_CARD.md` says it
    for people.

    The output is the standard PushedModel with TFX's custom properties `pushed`,
    `pushed_destination` and `pushed_version`, and with `reason`, which says why nothing was
    pushed. Unlike TFX's Pusher it keeps no second copy of the model in the artifact.

    ```
    pusher = Pusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        infra_blessing=checker.outputs["blessing"],
        anomalies=validator.outputs["anomalies"],
        evaluation=evaluator.outputs["evaluation"],
        push_destination="/models/pets",
    )
    ```
    """

    SPEC_CLASS = PusherSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        model: BaseChannel,
        push_destination: str,
        model_blessing: BaseChannel | None = None,
        infra_blessing: BaseChannel | None = None,
        server_blessing: BaseChannel | None = None,
        anomalies: BaseChannel | None = None,
        drift: BaseChannel | None = None,
        evaluation: BaseChannel | None = None,
        examples: BaseChannel | None = None,
        keep_versions: int | None = None,
        lineage: str | None = None,
        fingerprint: str | None = None,
        data_fingerprint: Placeholder | None = None,
        root: str | None = None,
    ):
        """Makes the component.

        Args:
            model: a channel of standard Model artifacts.
            push_destination: the folder of the versions; any file system that TensorFlow knows.
            model_blessing: the Evaluator's blessing of the model.
            infra_blessing: the ModelChecker's blessing of the model.
            server_blessing: the InfraValidator's blessing of the model.
            anomalies: what the ExampleValidator found in the data.
            drift: what the DriftValidator found in the data.
            evaluation: the Evaluator's metrics on the test split, overall and for each class.
            examples: the images of the training, for the lineage.
            keep_versions: number of versions that stay; older ones are removed after a push. None
                for all of them.
            lineage: what the pipeline knows of itself, fields of `Lineage` as JSON.
            fingerprint: the state of the code; the cached output is used while it is equal.
            data_fingerprint: digest of the data, where another step computes it; for the lineage.
            root: the folder below which a relative `push_destination` is stored.
        """
        super().__init__(
            PusherSpec(
                model=model,
                push_destination=push_destination,
                model_blessing=model_blessing,
                infra_blessing=infra_blessing,
                server_blessing=server_blessing,
                anomalies=anomalies,
                drift=drift,
                evaluation=evaluation,
                examples=examples,
                keep_versions=keep_versions,
                lineage=lineage,
                fingerprint=fingerprint,
                data_fingerprint=data_fingerprint,
                root=root,
                pushed_model=channel_utils.as_channel([standard_artifacts.PushedModel()]),
            )
        )
