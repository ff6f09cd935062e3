# SPDX-License-Identifier: Apache-2.0
"""Removes duplicates from training: in the shards of Examples, in a source, and in its counts."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mixer_tf.datasets import examples
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.datasets.sources.source import Source
from mixer_tf.deduplication.image_sets import Reader
from mixer_tf.deduplication.options import REMOVE, DeduplicationOptions
from mixer_tf.deduplication.removals import Removal
from mixer_tf.features import TRAIN, ImageRecord


def select_removed(removals: Sequence[Removal], options: DeduplicationOptions) -> list[Removal]:
    """Returns the removals that are carried out; none where duplicates are only listed."""
    return [removal for removal in removals if not removal.kept] if options.mode == REMOVE else []


def copy_training_shard(
    numbered_path: tuple[int, str], num_shards: int, folder: str, removals: Sequence[Removal]
) -> None:
    """Copies one training shard without its removed images.

    Args:
        numbered_path: index and path of the shard.
        num_shards: the number of training shards.
        folder: the Examples folder to write to.
        removals: the removals that are carried out, in all shards.
    """
    index, path = numbered_path
    removed = _indices_by_shard(removals).get(path, ())
    examples.copy_shard_without(path, removed, folder, TRAIN, index, num_shards)


@dataclasses.dataclass(frozen=True)
class FilteredReader:
    """Reads the work items of another reader without the removed images.

    Attributes:
        reader: the other reader.
        removed: work item → indices of its removed images.
    """

    reader: Reader
    removed: Mapping[Any, frozenset[int]]

    def __call__(self, shard: Any) -> Iterator[ImageRecord]:
        removed = self.removed.get(shard, ())
        for index, record in enumerate(self.reader(shard)):
            if index not in removed:
                yield record


def filter_source(source: Source, removals: Sequence[Removal]) -> Source:
    """Returns a source without the removed training images."""
    removed = [removal.match.image.source for removal in removals]
    return dataclasses.replace(
        source,
        reader=FilteredReader(source.reader, _indices_by_shard(removals)),
        image_ids=None,
        file_signatures=lambda: [*source.file_signatures(), *removed],
    )


def update_info(
    info: DatasetInfo, removals: Sequence[Removal], notes: Iterable[str] = ()
) -> DatasetInfo:
    """Returns the description of the dataset without the removed images.

    Args:
        info: the description before.
        removals: the removals that are carried out.
        notes: further notes; see `notes.describe_removals`.
    """
    removed = collections.Counter(removal.match.image.class_name for removal in removals)
    train = {name: count - removed[name] for name, count in info.counts[TRAIN].items()}
    emptied = tuple(
        f"class '{name}' has no training images left: all {removed[name]:,} were duplicates"
        for name, count in train.items()
        if name and not count  # The name is empty for images without a label.
    )
    counts = {**info.counts, TRAIN: {name: count for name, count in train.items() if count}}
    return dataclasses.replace(info, counts=counts, notes=(*info.notes, *notes, *emptied))


def _indices_by_shard(removals: Sequence[Removal]) -> dict[Any, frozenset[int]]:
    found = collections.defaultdict(set)
    for removal in removals:
        found[removal.match.image.work_item].add(removal.match.image.index)
    return {shard: frozenset(indices) for shard, indices in found.items()}
