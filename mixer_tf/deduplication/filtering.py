# SPDX-License-Identifier: Apache-2.0
"""Removes duplicates from the shards of Examples, and from their counts."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mixer_tf.datasets import examples
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.deduplication.modes import REMOVE
from mixer_tf.deduplication.options import DeduplicationOptions
from mixer_tf.deduplication.removals import Removal
from mixer_tf.features import EVAL, TRAIN

_TITLES = {TRAIN: "training", EVAL: "evaluation"}


def select_removed(removals: Sequence[Removal], options: DeduplicationOptions) -> list[Removal]:
    """Returns the removals that are carried out; none where duplicates are only listed."""
    return [removal for removal in removals if not removal.kept] if options.mode == REMOVE else []


def copy_filtered_shard(
    shard: tuple[int, str, str], num_shards: Mapping[str, int], folder: str, removals: list[Removal]
) -> None:
    """Copies one shard of the training or evaluation split without its removed images.

    Args:
        shard: index, path and split of the shard.
        num_shards: split → the number of its shards.
        folder: the Examples folder to write to.
        removals: the removals that are carried out, in all shards.
    """
    index, path, split = shard
    removed = _indices_by_shard(removals).get(path, ())
    if removed or split == TRAIN:
        examples.copy_shard_without(path, removed, folder, split, index, num_shards[split])
    else:
        examples.copy_shard(path, folder, split)


def update_info(
    info: DatasetInfo, removed: Mapping[tuple[str, str], int], notes: Iterable[str] = ()
) -> DatasetInfo:
    """Returns the description of the dataset without the removed images.

    Args:
        info: the description before.
        removed: (split, class name) → number of images that are removed.
        notes: further notes; see `notes.describe_removals`.
    """
    removed = collections.Counter(removed)
    left = {
        split: {name: count - removed[split, name] for name, count in by_class.items()}
        for split, by_class in info.counts.items()
    }
    emptied = tuple(
        f"class '{name}' has no {_TITLES[split]} images left: all {removed[split, name]:,} were "
        "duplicates"
        for split, by_class in left.items()
        for name, count in by_class.items()
        if name and not count and removed[split, name]  # No name: images without a label.
    )
    counts = {
        split: {n: count for n, count in by_class.items() if count or not removed[split, n]}
        for split, by_class in left.items()
    }
    return dataclasses.replace(info, counts=counts, notes=(*info.notes, *notes, *emptied))


def _indices_by_shard(removals: Sequence[Removal]) -> dict[Any, frozenset[int]]:
    found = collections.defaultdict(set)
    for removal in removals:
        found[removal.match.image.work_item].add(removal.match.image.index)
    return {shard: frozenset(indices) for shard, indices in found.items()}
