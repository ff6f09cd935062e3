# SPDX-License-Identifier: Apache-2.0
"""A few images of a source, as the training gets them, to measure with; and its size."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence

from mixer_tf import images
from mixer_tf.datasets import examples, validation
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.datasets.sources.source import Source
from mixer_tf.features import TRAIN, ImageRecord


def count_images(source: Source, progress: Callable[[int], None] | None = None) -> dict[str, int]:
    """Returns split → number of images; unusable ones count as well.

    Args:
        source: an open source; one that does not list its images is read.
        progress: called with the number of images so far.
    """
    counts, total = {}, 0
    for split in source.splits:
        counts[split] = 0
        for shard in source.shards_of(split):
            found = sum(1 for _ in source.ids(shard))
            counts[split] += found
            total += found
            if progress:
                progress(total)
    return counts


def write_sample(source: Source, folder: str, wanted: dict[str, int]) -> DatasetInfo:
    """Writes the first usable images of evenly spaced work items as the shards of a dataset.

    Args:
        source: an open source.
        folder: a new folder.
        wanted: split → the number of images.

    Raises:
        ValueError: none of the images that were read can be used for training.
    """
    counts = {}
    for split, number in wanted.items():
        written = examples.write(_usable(source, split, number), folder, split, 1)
        if written:
            counts[split] = {source.class_names[0]: written}
    if not counts.get(TRAIN):
        raise ValueError(
            f"the source must have usable training images; none of the first ones of {source.spec} "
            "can be used. `mixer data check` lists the reasons."
        )
    return _describe(source.spec, source.class_names, counts, folder)


def write_generated(folder: str, wanted: dict[str, int], num_classes: int) -> DatasetInfo:
    """Writes generated photographs of 640 x 480 pixels, where there is no source yet.

    Args:
        folder, wanted: see `write_sample`.
        num_classes: number of classes.
    """
    from mixer_tf.benchmarks.limits import photographs  # imports TensorFlow

    return write_images(folder, wanted, num_classes, photographs())


def write_images(
    folder: str, wanted: dict[str, int], num_classes: int, encoded: Sequence[bytes]
) -> DatasetInfo:
    """Writes images of the first class, again and again, as the shards of a dataset.

    Args:
        folder, wanted, num_classes: see `write_generated`.
        encoded: the images.
    """
    names = tuple(f"class {index}" for index in range(num_classes))
    headers = [images.read_header(each) for each in encoded]
    first = [
        ImageRecord(each, header.format, 0, names[0], "", header.width, header.height)
        for each, header in zip(encoded, headers, strict=True)
    ]
    counts = {}
    for split, number in wanted.items():
        endless = itertools.islice(itertools.cycle(first), number)
        records = (dataclasses.replace(each, source=f"{i}") for i, each in enumerate(endless))
        counts[split] = {names[0]: examples.write(records, folder, split, 1)}
    return _describe("generated", names, counts, folder)


def _describe(spec: str, names: Sequence[str], counts, folder: str) -> DatasetInfo:
    info = DatasetInfo(spec, tuple(names), counts)
    info.write(folder)
    return info


def _usable(source: Source, split: str, number: int) -> Iterator[ImageRecord]:
    shards = source.shards_of(split)
    taken = 0
    for shard in shards[:: max(1, len(shards) // max(number, 1))]:
        for record in source.read(shard):
            if taken == number:
                return
            try:
                yield validation.check_record(record)
                taken += 1
            except images.UnusableImageError:
                continue
