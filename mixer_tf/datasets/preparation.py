# SPDX-License-Identifier: Apache-2.0
"""The work of Preprocessor on one shard: measure, check, reduce, count, write what is usable."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterator

from mixer_tf import images
from mixer_tf.datasets import examples, validation
from mixer_tf.datasets.global_shuffle import Shuffle
from mixer_tf.features import FORMAT, ImageRecord
from mixer_tf.images.headers import MAX_PIXELS

_UNCHANGED_FORMATS = ("JPEG", "PNG")
# Of the 3 bytes of a pixel of a photograph, PNG saves a third.
_PNG_BYTES_OF_PIXEL = 2


@dataclasses.dataclass
class Prepared:
    """What one shard has given.

    Attributes:
        split: the split of the images.
        counts: class name → number of usable images.
        lines: lines of the quarantine file, one for each unusable image.
        remarks: remark → (number of images, the first source); see `quarantine.notes_of_counts`.
    """

    split: str
    counts: Counter[str] = dataclasses.field(default_factory=Counter)
    lines: list[str] = dataclasses.field(default_factory=list)
    remarks: dict[str, tuple[int, str]] = dataclasses.field(default_factory=dict)


def measure_shard(path: str, shorter_side: int | None = None) -> int:
    """Returns about how many bytes the images of a shard have when they are usable.

    Images of other formats than JPEG and PNG become PNG files, which are several times larger;
    their pixels say how large, because the images are not decoded.

    Args:
        path: the shard to read.
        shorter_side: pixels to which the shorter side of larger images is reduced, or None.
    """
    num_bytes, unchanged = 0, [*map(_format_entry, _UNCHANGED_FORMATS)]
    for example in examples.read_examples(path):
        num_bytes += len(example)
        if any(entry in example for entry in unchanged):
            continue  # Parsing it would take longer than reading it.
        record = ImageRecord.from_example(example)
        if record.format not in _UNCHANGED_FORMATS:
            num_bytes += max(0, _size_of_png(record, shorter_side) - len(record.encoded))
    return num_bytes


def _format_entry(image_format: str) -> bytes:
    """The bytes of a serialized tf.Example that state the format of its image."""
    from tensorflow.core.example import feature_pb2

    features = feature_pb2.Features()
    features.feature[FORMAT].bytes_list.value.append(image_format.encode())
    return features.SerializeToString()


def _size_of_png(record: ImageRecord, shorter_side: int | None) -> int:
    """Bytes of an image as PNG; 0 for one that is too large to be used, or unreadable."""
    pixels = record.width * record.height
    if not 0 < pixels <= MAX_PIXELS:
        return 0
    side = min(record.width, record.height)
    scale = min(1.0, shorter_side / side) if shorter_side else 1.0
    return round(_PNG_BYTES_OF_PIXEL * scale**2 * pixels)


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
    serialized, copies = itertools.tee(examples.read_examples(path))
    records = map(ImageRecord.from_example, copies)
    examined = validation.examine_records(records)
    for example, (record, found) in zip(serialized, examined, strict=True):
        if isinstance(found, images.UnusableImageError):
            prepared.lines.append(validation.to_line(record, prepared.split, str(found)))
            continue
        usable, remarks = found
        for remark in remarks:
            number, first = prepared.remarks.get(remark, (0, record.source))
            prepared.remarks[remark] = number + 1, min(first, record.source)
        prepared.counts[record.class_name] += 1
        usable = reduce_record(usable, shorter_side) if shorter_side else usable
        yield example if usable is record else usable.to_example()
