# SPDX-License-Identifier: Apache-2.0
"""How large shards are, and shards whose number is not known before all images are read.

The number of shards depends on the images alone, never on the number of workers.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from mixer_tf import storage
from mixer_tf.datasets import examples
from mixer_tf.features import ImageRecord

# Large enough that a cluster lists few files, small enough to be sorted in memory; a shard of
# ImageNet has about 1,200 images.
MAX_BYTES = 128 * 2**20
MAX_IMAGES = 2048
# So that several workers share a small dataset.
_MIN_GROUPS = 16
_MAX_GROUP_ITEMS = 32  # Of 64 image files each: `MAX_IMAGES`.


def work_folder(folder: str) -> str:
    """Returns the folder for files that a step writes into its Examples folder for itself.

    It is not that of a split, because steps of TFX read every file there, also what a killed
    attempt has left.
    """
    return os.path.join(folder, storage.partial_name("work"))


def count_shards(num_images: int, num_bytes: int) -> int:
    """Returns how many shards a split gets: each has about `MAX_IMAGES` or `MAX_BYTES` at most.

    Args:
        num_images: number of images in the split.
        num_bytes: size of all its tf.Examples.
    """
    return max(1, math.ceil(num_images / MAX_IMAGES), math.ceil(num_bytes / MAX_BYTES))


def group_items(items: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Divides the work items of a source into groups that are read one after the other.

    Args:
        items: of `Source.shards_of`: each is 64 image files, or one file with many images.
    """
    size = min(_MAX_GROUP_ITEMS, math.ceil(len(items) / _MIN_GROUPS))
    return [tuple(items[start : start + size]) for start in range(0, len(items), size or 1)]


@dataclasses.dataclass(frozen=True)
class Parts:
    """The files of one group of work items, which get their final names when all are written.

    Attributes:
        split: the split of the images.
        group: index of the group within the split.
        paths: paths of the files, in order; each is within the limits of a shard.
        counts: class name → number of images.
    """

    split: str
    group: int
    paths: tuple[str, ...]
    counts: dict[str, int]


def write_parts(records: Iterable[ImageRecord], folder: str, split: str, group: int) -> Parts:
    """Writes the images of one group of work items, in their order, to one or more files.

    Args:
        records: the images; they are streamed.
        folder: the Examples folder.
        split: the split of the images.
        group: index of the group within the split.
    """
    storage.make_folder(work_folder(folder))
    counts: Counter[str] = Counter()
    serialized = _count_and_serialize(records, counts)
    paths: list[str] = []
    for first in serialized:
        name = f"{split}-{group:05d}-{len(paths):05d}"
        paths.append(os.path.join(work_folder(folder), name))
        _write_part(itertools.chain([first], serialized), paths[-1])
    return Parts(split, group, tuple(paths), dict(counts))


def _count_and_serialize(records: Iterable[ImageRecord], counts: Counter[str]) -> Iterator[bytes]:
    for record in records:
        counts[record.class_name] += 1
        yield record.to_example()


def _write_part(serialized: Iterator[bytes], path: str) -> None:
    """Writes the next examples until a limit is reached."""
    num_images = num_bytes = 0
    # Another worker may write the same part, if an engine has lost touch with this one.
    with storage.replacing(path, concurrent=True) as partial, examples.open_writer(partial) as file:
        for example in serialized:
            file.write(example)
            num_images, num_bytes = num_images + 1, num_bytes + len(example)
            if num_images == MAX_IMAGES or num_bytes >= MAX_BYTES:
                return


def name_parts(parts: Iterable[Parts], folder: str, splits: Iterable[str]) -> list[tuple[str, str]]:
    """Returns (path, final path) of every part.

    A split without images gets one empty shard, because the steps of TFX do not accept none.

    Args:
        parts: those of all groups, in any order.
        folder: the Examples folder.
        splits: all splits of the dataset.
    """
    ordered = sorted(parts, key=lambda found: found.group)
    renamed = []
    for split in splits:
        paths = [path for found in ordered if found.split == split for path in found.paths]
        storage.make_folder(examples.split_folder(folder, split))
        if not paths:
            examples.write_shard([], folder, split, 0, 1)
        renamed += [
            (path, examples.shard_path(folder, split, index, len(paths)))
            for index, path in enumerate(paths)
        ]
    return renamed
