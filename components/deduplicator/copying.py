# SPDX-License-Identifier: Apache-2.0
"""Copies the shards of an Examples folder, without removed images or with marks on leaked ones.

Each shard is copied once, with the decisions about its own images.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import apache_beam as beam

from mixer_tf.datasets import examples
from mixer_tf.deduplication import filtering
from mixer_tf.deduplication.leaks import Leaked
from mixer_tf.deduplication.options import DeduplicationOptions
from mixer_tf.deduplication.removals import Removal
from mixer_tf.features import EVAL, TEST, TRAIN

_SHARDS, _REMOVED, _MARKS = "shards", "removed", "marks"
# The splits that images are removed from.
_FILTERED = (TRAIN, EVAL)


class CopyShards(beam.PTransform):
    """Copies all shards of an Examples folder without the removed images: PBegin → nothing.

    Args:
        folder: the Examples folder to copy from.
        output_folder: the Examples folder to copy to.
        test_splits: the splits other than training.
        removed: PCollection of the Removals that are carried out.
    """

    def __init__(self, folder: str, output_folder: str, test_splits: Sequence[str], removed):
        super().__init__()
        self._folder, self._output_folder = folder, output_folder
        self._test_splits = test_splits
        self._removed = removed

    def expand(self, pbegin):
        shards = {
            split: examples.list_shards(self._folder, split)
            for split in (TRAIN, *self._test_splits)
        }
        num_shards = {split: len(paths) for split, paths in shards.items()}
        others = [(path, split) for split in shards for path in shards[split]]
        others = [(path, split) for path, split in others if split not in _FILTERED]
        filtered = pbegin | "Training and evaluation shards" >> beam.Create(
            _key_by_path({split: shards[split] for split in shards if split in _FILTERED})
        )
        removed = self._removed | "By shard" >> beam.Map(key_by_shard)
        _ = (
            {_SHARDS: filtered, _REMOVED: removed}
            | "Removals of each shard" >> beam.CoGroupByKey()
            | "Filter" >> beam.FlatMap(copy_filtered_shard, num_shards, self._output_folder)
        )
        return (
            pbegin
            | "Other shards" >> beam.Create(others)
            | "Copy" >> beam.Map(copy_whole_shard, self._output_folder)
        )


class MarkShards(beam.PTransform):
    """Copies all shards, and marks evaluation and test images that leaked: PBegin → nothing.

    Args:
        folder: the Examples folder to copy from.
        output_folder: the Examples folder to copy to.
        test_splits: the splits that are marked.
        leaks: PCollection of Leaked images.
    """

    def __init__(self, folder: str, output_folder: str, test_splits: Sequence[str], leaks):
        super().__init__()
        self._folder, self._output_folder = folder, output_folder
        self._test_splits = test_splits
        self._leaks = leaks

    def expand(self, pbegin):
        paths = {split: examples.list_shards(self._folder, split) for split in self._test_splits}
        num_shards = {split: len(found) for split, found in paths.items()}
        train = [(path, TRAIN) for path in examples.list_shards(self._folder, TRAIN)]
        marked = pbegin | "Marked shards" >> beam.Create(_key_by_path(paths))
        marks = self._leaks | "Marks" >> beam.FlatMap(key_marks)
        _ = (
            {_SHARDS: marked, _MARKS: marks}
            | "Marks of each shard" >> beam.CoGroupByKey()
            | "Mark" >> beam.FlatMap(mark_shard, num_shards, self._output_folder)
        )
        return (
            pbegin
            | "Training shards" >> beam.Create(train)
            | "Copy" >> beam.Map(copy_whole_shard, self._output_folder)
        )


def key_by_shard(removal: Removal) -> tuple[str, Removal]:
    """Returns the path of the shard that contains a removed image, and its removal."""
    return removal.match.image.work_item, removal


def key_marks(leaked: Leaked) -> Iterator[tuple[str, tuple[int, str]]]:
    """Yields the path of the shard of a leaked image, and its index there with its mark."""
    if leaked.image.set_name in (EVAL, TEST):
        yield leaked.image.work_item, (leaked.image.index, leaked.duplicate_of)


def select_removed(removal: Removal, options: DeduplicationOptions) -> list[Removal]:
    """Returns the removal if it is carried out."""
    return filtering.select_removed([removal], options)


def copy_filtered_shard(
    group: tuple[str, Mapping[str, Iterable]], num_shards: Mapping[str, int], folder: str
) -> Iterator[None]:
    """Copies one training or evaluation shard without its removed images; yields nothing.

    Args:
        group: path of the shard, its index and split, and its removals.
        num_shards: split → the number of its shards.
        folder: the Examples folder to write to.
    """
    path, found = group
    for index, split in found[_SHARDS]:
        removals = list(found[_REMOVED])
        filtering.copy_filtered_shard((index, path, split), num_shards, folder, removals)
    yield from ()


def mark_shard(
    group: tuple[str, Mapping[str, Iterable]], num_shards: Mapping[str, int], folder: str
) -> Iterator[None]:
    """Copies one evaluation or test shard with its marks; yields nothing.

    Args:
        group: path of the shard, its index and split, and its marks.
        num_shards: split → the number of its shards.
        folder: the Examples folder to write to.
    """
    path, found = group
    for index, split in found[_SHARDS]:
        marks = dict(found[_MARKS])
        examples.copy_shard_marked(path, marks, folder, split, index, num_shards[split])
    yield from ()


def copy_whole_shard(path_and_split: tuple[str, str], folder: str) -> None:
    """Copies one shard unchanged."""
    path, split = path_and_split
    examples.copy_shard(path, folder, split)


def _key_by_path(shards: Mapping[str, Sequence[str]]) -> list[tuple[str, tuple[int, str]]]:
    """The path of each shard, with its index and its split."""
    return [
        (path, (index, split))
        for split, paths in shards.items()
        for index, path in enumerate(paths)
    ]
