# SPDX-License-Identifier: Apache-2.0
"""The contract of FewShotEvaluator: its parameters, inputs and output."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import BaseChannel, channel_utils, component_spec, standard_artifacts

from components.artifacts import FewShotReport
from components.few_shot_evaluator.executor import Executor
from mixer_tf.evaluation import fewshot


class FewShotEvaluatorSpec(component_spec.ComponentSpec):
    """Parameters, inputs and output of FewShotEvaluator."""

    PARAMETERS = {
        "shots": component_spec.ExecutionParameter(type=str),
        "fingerprint": component_spec.ExecutionParameter(type=str, optional=True),
    }
    INPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
    }
    OUTPUTS = {"report": component_spec.ChannelParameter(type=FewShotReport)}


class FewShotEvaluator(base_beam_component.BaseBeamComponent):
    """Measures the features of a model by linear probes on a few images of each class.

    Beam computes the features of the training and test images in parallel; the ridge regressions
    are solved in one place. `fewshot.json` has the accuracies on the test split. It is not a gate:
    numbers of shots that no class has are left out, with a note.

    ```
    probes = FewShotEvaluator(
        examples=images.outputs["examples"], model=trainer.outputs["model"], shots=(5, 10)
    )
    ```
    """

    SPEC_CLASS = FewShotEvaluatorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        examples: BaseChannel,
        model: BaseChannel,
        shots: Sequence[int] = fewshot.SHOTS,
        fingerprint: str | None = None,
    ):
        """Makes the component.

        Args:
            examples: a channel of Examples that ImageExampleGen or Deduplicator wrote: images in
                their own size. The Preprocessor's training images may be reduced.
            model: a channel of Models that Trainer exported.
            shots: numbers of training images of each class.
            fingerprint: the state of the code; the cached output is used while it is equal.
        """
        super().__init__(
            FewShotEvaluatorSpec(
                examples=examples,
                model=model,
                shots=json.dumps(list(shots)),
                fingerprint=fingerprint,
                report=channel_utils.as_channel([FewShotReport()]),
            )
        )
