# SPDX-License-Identifier: Apache-2.0
"""The contract of Preprocessor: what it is told and what it produces."""

from __future__ import annotations

from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import BaseChannel, channel_utils, component_spec, standard_artifacts

from components.artifacts import QuarantineReport
from components.preprocessor.executor import Executor


class PreprocessorSpec(component_spec.ComponentSpec):
    """Parameters, inputs and outputs of Preprocessor."""

    PARAMETERS = {
        "shorter_side": component_spec.ExecutionParameter(type=int, optional=True),
        "num_shards": component_spec.ExecutionParameter(type=int, optional=True),
        "fingerprint": component_spec.ExecutionParameter(type=str, optional=True),
    }
    INPUTS = {"examples": component_spec.ChannelParameter(type=standard_artifacts.Examples)}
    OUTPUTS = {
        "preprocessed_examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "quarantine": component_spec.ChannelParameter(type=QuarantineReport),
    }


class Preprocessor(base_beam_component.BaseBeamComponent):
    """Checks, reduces, shuffles and shards the images of every split.

    Each image is read once, by the decoder of the model. What that cannot read, and what has an
    absurd size, goes to `quarantine.jsonl` with the reason. The rest is written in an order that
    depends on nothing but the images' ids, into shards of equal size.

    The Examples keep the splits and the class names of the input; `dataset.json` counts what is
    left.

    ```
    preprocessor = Preprocessor(
        examples=deduplicator.outputs["deduplicated_examples"], shorter_side=256
    )
    trainer = Trainer(examples=preprocessor.outputs["preprocessed_examples"], ...)
    ```
    """

    SPEC_CLASS = PreprocessorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        examples: BaseChannel,
        shorter_side: int | None = None,
        num_shards: int | None = None,
        fingerprint: str | None = None,
    ):
        """Makes the component.

        Args:
            examples: a channel of Examples as ImageExampleGen or Deduplicator write them.
            shorter_side: pixels to which larger images are reduced; None keeps every size.
            num_shards: files of each split; None for one to every 64 MB.
            fingerprint: the state of the code; the cached output is used while it is equal.
        """
        super().__init__(
            PreprocessorSpec(
                examples=examples,
                shorter_side=shorter_side,
                num_shards=num_shards,
                fingerprint=fingerprint,
                preprocessed_examples=channel_utils.as_channel([standard_artifacts.Examples()]),
                quarantine=channel_utils.as_channel([QuarantineReport()]),
            )
        )
