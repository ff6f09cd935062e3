# SPDX-License-Identifier: Apache-2.0
"""Removes duplicates: from the shards of Examples, from a source, and from its counts."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mixer_tf.datasets import examples
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.datasets.sources.source import Source
from mixer_tf.deduplication.image_sets import Reader
from mixer_tf.deduplication.modes import REMOVE
from mixer_tf.deduplication.options import DeduplicationOptions
from mixer_tf.deduplication.removals import Removal
from mixer_tf.features import EVAL, TRAIN, ImageRecord
from mixer_tf.messages import printable

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
    """Returns a source without the removed images."""
    removed = [removal.match.image.source for removal in removals]
    return dataclasses.replace(
        source,
        reader=FilteredReader(source.reader, _indices_by_shard(removals)),
        image_ids=None,
        file_signatures=lambda: [*source.file_signatures(), *removed],
    )


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


def require_evaluation_images(removals: Sequence[Removal], num_compared: int, spec: str) -> None:
    """Raises an error if every image of the evaluation split would be removed.

    Args:
        removals: the removals that are carried out.
        num_compared: the number of evaluation images that were compared.
        spec: the specification of the source, for the message.

    Raises:
        ValueError: no evaluation image would be left.
    """
    removed = [r.match for r in removals if r.match.image.set_name == EVAL]
    if removed and len(removed) >= num_compared:
        image, other = removed[0].image, removed[0].other
        example = (
            f"such as {printable(image.source)}, a duplicate of {printable(other.source)} in "
            f"'{printable(other.set_name)}'"
        )
        raise ValueError(no_evaluation_images(spec, len(removed), example, "mode='report'"))


def no_evaluation_images(spec: str, number: int, example: str, keep_all: str) -> str:
    """Returns the message of the error where no evaluation image would be left.

    Args:
        spec: the specification of the source.
        number: the number of its evaluation images.
        example: one of them and its duplicate.
        keep_all: the option that removes none.
    """
    return (
        f"at least one evaluation image of {spec} must not be a duplicate of a test image; all "
        f"{number:,} are, {example}. Use another evaluation split; {keep_all} removes none and "
        "shows the pairs."
    )


def _indices_by_shard(removals: Sequence[Removal]) -> dict[Any, frozenset[int]]:
    found = collections.defaultdict(set)
    for removal in removals:
        found[removal.match.image.work_item].add(removal.match.image.index)
    return {shard: frozenset(indices) for shard, indices in found.items()}
