# SPDX-License-Identifier: Apache-2.0
"""The specification of Deduplicator: its parameters, inputs and outputs."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.dsl.placeholder.placeholder import Placeholder
from tfx.types import BaseChannel, channel_utils, component_spec, standard_artifacts

from components.artifacts import DeduplicationReport
from components.deduplicator.executor import Executor
from mixer_tf.deduplication.modes import REMOVE
from mixer_tf.deduplication.options import DeduplicationOptions
from mixer_tf.deduplication.thresholds import DUPLICATE


class DeduplicatorSpec(component_spec.ComponentSpec):
    """Parameters, inputs and outputs of Deduplicator."""

    PARAMETERS = {
        "downstream_test_sets": component_spec.ExecutionParameter(type=str),
        "data_dir": component_spec.ExecutionParameter(type=str, optional=True),
        "within_train": component_spec.ExecutionParameter(type=int),
        "threshold": component_spec.ExecutionParameter(type=float, optional=True),
        "mode": component_spec.ExecutionParameter(type=str, optional=True),
        "keep_duplicates": component_spec.ExecutionParameter(type=str, optional=True),
        "fingerprint": component_spec.ExecutionParameter(type=str, optional=True),
        "data_fingerprint": component_spec.ExecutionParameter(type=str, optional=True),
    }
    INPUTS = {"examples": component_spec.ChannelParameter(type=standard_artifacts.Examples)}
    OUTPUTS = {
        "deduplicated_examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "report": component_spec.ChannelParameter(type=DeduplicationReport),
    }


class Deduplicator(base_beam_component.BaseBeamComponent):
    """Removes training images that are near-duplicates of evaluation or test images.

    It also removes evaluation images that are near-duplicates of test images.

    It finds images that were re-encoded, resized, brightened, cropped, framed, mirrored, slightly
    rotated, converted to grayscale or, if they are photographs, turned by quarters. Test images are
    never removed; their shards are copied unchanged.
    Near-duplicates of another class are reported and kept; see
    `mixer_tf.deduplication.removals.decide`. The report consists of `report.json` with the counts,
    `pairs.jsonl`, which lists for each duplicate the image that it is a duplicate of, their
    distance, the test sets, and why it was kept, `pairs.html`, a page to look at the pairs and to
    judge them, and `label_conflicts.jsonl`, which lists the images of the dataset that have equal
    bytes and different labels, and the near-duplicates with different labels. Many removals, and
    images with equal bytes and different labels, are a note of the dataset.

    What it finds, and what it takes for a duplicate by mistake, is measured by
    `python -m benchmarks.deduplication`; see docs/deduplication.md.

    ```
    deduplicator = Deduplicator(
        examples=images.outputs["examples"], downstream_test_sets=["folder:/data/test-photos"]
    )
    statistics = StatisticsGen(examples=deduplicator.outputs["deduplicated_examples"])
    ```
    """

    SPEC_CLASS = DeduplicatorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        examples: BaseChannel,
        downstream_test_sets: Sequence[str] = (),
        data_dir: str | None = None,
        within_train: bool = False,
        threshold: float = DUPLICATE,
        mode: str = REMOVE,
        keep_duplicates: str | None = None,
        fingerprint: str | None = None,
        data_fingerprint: Placeholder | None = None,
    ):
        """Creates the component.

        Args:
            examples: a channel of Examples written by ImageExampleGen.
            downstream_test_sets: further sources, such as "tfds:NAME" or "folder:PATH"; no image
                of theirs, whatever its split, should be trained on.
            data_dir: the folder of prepared TFDS datasets; None for the default of TFDS.
            within_train: whether only one of several duplicates within training is kept.
            threshold: similarity, 0.2 to 1, from which two photographs are duplicates.
            mode: "remove" removes duplicates from training and evaluation; "mark" removes nothing
                and writes the feature `duplicate_of` into evaluation and test images: the training
                image that they are a duplicate of, or ""; "report" only lists the duplicates.
            keep_duplicates: a file of images that are never removed; see
                `mixer_tf.deduplication.kept_images.read`. None for no such images.
            fingerprint: fingerprint of data and code, the content of that file included; if it is
                equal, the cached output is used.
            data_fingerprint: fingerprint of the data, where another step computes it.

        Raises:
            ValueError: threshold or mode is not valid.
        """
        options = DeduplicationOptions(threshold, within_train, mode)
        super().__init__(
            DeduplicatorSpec(
                examples=examples,
                downstream_test_sets=json.dumps(list(downstream_test_sets)),
                data_dir=data_dir,
                within_train=int(options.within_train),
                threshold=float(options.threshold),
                mode=options.mode,
                keep_duplicates=keep_duplicates,
                fingerprint=fingerprint,
                data_fingerprint=data_fingerprint,
                deduplicated_examples=channel_utils.as_channel([standard_artifacts.Examples()]),
                report=channel_utils.as_channel([DeduplicationReport()]),
            )
        )
