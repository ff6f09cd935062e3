# SPDX-License-Identifier: Apache-2.0
"""The contract of BulkPredictor: its parameters, inputs and output."""

from __future__ import annotations

from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import BaseChannel, channel_utils, component_spec, standard_artifacts

from components.bulk_predictor.executor import Executor


class BulkPredictorSpec(component_spec.ComponentSpec):
    """Parameters, inputs and outputs of BulkPredictor."""

    PARAMETERS = {
        "source": component_spec.ExecutionParameter(type=str),
        "data_dir": component_spec.ExecutionParameter(type=str, optional=True),
        "fingerprint": component_spec.ExecutionParameter(type=str, optional=True),
    }
    INPUTS = {
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "model_blessing": component_spec.ChannelParameter(
            type=standard_artifacts.ModelBlessing, optional=True
        ),
        "infra_blessing": component_spec.ChannelParameter(
            type=standard_artifacts.InfraBlessing, optional=True
        ),
    }
    OUTPUTS = {
        "inference_result": component_spec.ChannelParameter(type=standard_artifacts.InferenceResult)
    }


class BulkPredictor(base_beam_component.BaseBeamComponent):
    """Classifies all images of a source on Beam, with a model that is blessed.

    The result is `predictions-*.jsonl`, with the lines of `mixer predict --json`: one for each
    image, with its path or id and either `predictions` (class names and probabilities, best first)
    or `error`, why it cannot be used. Nothing is predicted with a model that is not blessed; the
    custom property `reason` says so. The properties `images` and `unusable` are numbers of images.

    TFX's BulkInferrer does not fit: its results repeat each image, and have neither its path nor
    the names of the classes; one image that cannot be decoded ends the whole job; and it
    reads Examples, which would be another copy of all images.

    ```
    predictor = BulkPredictor(
        source="images:/data/new", model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
    )
    ```
    """

    SPEC_CLASS = BulkPredictorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        source: str,
        model: BaseChannel,
        model_blessing: BaseChannel | None = None,
        infra_blessing: BaseChannel | None = None,
        data_dir: str | None = None,
        fingerprint: str | None = None,
    ):
        """Makes the component.

        Args:
            source: "images:FOLDER", or a source as `ImageExampleGen` takes it; labels are ignored.
            model: a channel of standard Model artifacts.
            model_blessing: the Evaluator's blessing of the model.
            infra_blessing: the ModelChecker's blessing of the model.
            data_dir: the folder of prepared TFDS datasets; None for the default of TFDS.
            fingerprint: the state of data and code; the cached output is used while it is equal.
        """
        result = channel_utils.as_channel([standard_artifacts.InferenceResult()])
        super().__init__(
            BulkPredictorSpec(
                source=source,
                model=model,
                model_blessing=model_blessing,
                infra_blessing=infra_blessing,
                data_dir=data_dir,
                fingerprint=fingerprint,
                inference_result=result,
            )
        )
