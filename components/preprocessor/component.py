# SPDX-License-Identifier: Apache-2.0
"""The contract of Preprocessor: its parameters, inputs and outputs."""

from __future__ import annotations

from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import BaseChannel, channel_utils, component_spec, standard_artifacts

from components.artifacts import QuarantineReport
from components.preprocessor.executor import Executor


class PreprocessorSpec(component_spec.ComponentSpec):
    """Parameters, inputs and outputs of Preprocessor."""

    PARAMETERS = {
        "train_shorter_side": component_spec.ExecutionParameter(type=int, optional=True),
        "num_shards": component_spec.ExecutionParameter(type=int, optional=True),
        "seed": component_spec.ExecutionParameter(type=int, optional=True),
        "max_quarantined": component_spec.ExecutionParameter(type=str, optional=True),
        "fingerprint": component_spec.ExecutionParameter(type=str, optional=True),
    }
    INPUTS = {"examples": component_spec.ChannelParameter(type=standard_artifacts.Examples)}
    OUTPUTS = {
        "preprocessed_examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "quarantine": component_spec.ChannelParameter(type=QuarantineReport),
    }


class Preprocessor(base_beam_component.BaseBeamComponent):
    """Checks, reduces, shuffles and shards the images of every split.

    Each image is decoded once, by the decoder of the model. Images that it cannot decode, and
    those whose size is out of range, are listed in `quarantine.jsonl` with the reason. The others
    are written in an order that depends only on the images, their ids and the seed, into shards of
    about equal size, which are not compressed. A worker holds one shard in memory. Training images
    can be reduced; evaluation and test images keep their size, so that they are treated as in
    serving.

    The Examples keep the splits and the class names of the input; `dataset.json` counts the
    usable images.

    ```
    preprocessor = Preprocessor(
        examples=deduplicator.outputs["deduplicated_examples"], train_shorter_side=256
    )
    trainer = Trainer(examples=preprocessor.outputs["preprocessed_examples"], ...)
    ```
    """

    SPEC_CLASS = PreprocessorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        examples: BaseChannel,
        train_shorter_side: int | None = None,
        num_shards: int | None = None,
        seed: int = 0,
        max_quarantined: str | None = None,
        fingerprint: str | None = None,
    ):
        """Makes the component.

        Args:
            examples: a channel of Examples that ImageExampleGen or Deduplicator wrote.
            train_shorter_side: pixels to which the shorter side of larger training images is
                reduced; None keeps every size.
            num_shards: number of files for each split; None for the fewest of at most about 2,048
                images and 128 MB.
            seed: another seed gives another order of the images.
            max_quarantined: how many images may be unusable, such as "20" or "1%"; if more are, the
                step fails with the reasons. None for any number.
            fingerprint: the state of the code; the cached output is used while it is equal.
        """
        super().__init__(
            PreprocessorSpec(
                examples=examples,
                train_shorter_side=train_shorter_side,
                num_shards=num_shards,
                seed=seed,
                max_quarantined=max_quarantined,
                fingerprint=fingerprint,
                preprocessed_examples=channel_utils.as_channel([standard_artifacts.Examples()]),
                quarantine=channel_utils.as_channel([QuarantineReport()]),
            )
        )
