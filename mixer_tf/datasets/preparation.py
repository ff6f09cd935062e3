# SPDX-License-Identifier: Apache-2.0
"""The work of Preprocessor on one shard: check, reduce, count, and write the piece of a shuffle."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator

from mixer_tf import images
from mixer_tf.datasets import examples, validation
from mixer_tf.datasets.global_shuffle import Shuffle
from mixer_tf.features import ImageRecord


@dataclasses.dataclass
class Prepared:
    """What one shard has given.

    Attributes:
        split: the split of the images.
        counts: class name → number of usable images.
        lines: lines of the quarantine file, one for each unusable image.
        remarks: remark → (number of images, the first source); see `quarantine.add_remark`.
    """

    split: str
    counts: Counter[str] = dataclasses.field(default_factory=Counter)
    lines: list[str] = dataclasses.field(default_factory=list)
    remarks: dict[str, tuple[int, str]] = dataclasses.field(default_factory=dict)


def prepare_shard(path: str, index: int, shuffle: Shuffle, shorter_side: int | None) -> Prepared:
    """Checks the images of a shard, and writes the usable ones as a piece of the shuffle.

    Args:
        path: the shard to read.
        index: its index among the shards of the split.
        shuffle: where the images are written to.
        shorter_side: pixels to which the shorter side of larger images is reduced, or None.
    """
    prepared = Prepared(shuffle.split)
    shuffle.write_piece(_usable_examples(path, shorter_side, prepared), index)
    return prepared


def reduce_record(record: ImageRecord, shorter_side: int) -> ImageRecord:
    """Returns the record with an image whose shorter side has at most that many pixels."""
    encoded = images.reduce_shorter_side(record.encoded, shorter_side)
    return validation.replace_image(record, encoded)


def _usable_examples(path: str, shorter_side: int | None, prepared: Prepared) -> Iterator[bytes]:
    """Yields the tf.Example of each usable image; what was not changed is not serialized again."""
    for example in examples.read_examples(path):
        record = ImageRecord.from_example(example)
        try:
            usable, remarks = validation.examine_record(record)
        except images.UnusableImageError as error:
            prepared.lines.append(validation.to_line(record, prepared.split, str(error)))
            continue
        for remark in remarks:
            number, first = prepared.remarks.get(remark, (0, record.source))
            prepared.remarks[remark] = number + 1, min(first, record.source)
        prepared.counts[record.class_name] += 1
        usable = reduce_record(usable, shorter_side) if shorter_side else usable
        yield example if usable is record else usable.to_example()
