# SPDX-License-Identifier: Apache-2.0
"""Deduplication in Beam: fingerprint, compare, decide, copy the shards, report.

All work is done by functions of `mixer_tf.deduplication`. Images are streamed; only fingerprints
are held in memory. Those of the test sets are sent to every worker, those of the training images
only when they are compared with one another.
"""

from __future__ import annotations

import collections
from collections.abc import Collection, Sequence

import apache_beam as beam
from apache_beam.pvalue import AsList, AsSingleton

from mixer_tf.datasets import examples
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.datasets.sources.source import Source
from mixer_tf.deduplication import (
    filtering,
    gallery,
    image_sets,
    label_conflicts,
    notes,
    report,
)
from mixer_tf.deduplication.fingerprints import Fingerprints, fingerprint_shard
from mixer_tf.deduplication.image_sets import ImageSet, Reader
from mixer_tf.deduplication.label_conflicts import Conflict
from mixer_tf.deduplication.leaks import Leaks, find_leaks
from mixer_tf.deduplication.modes import MARK
from mixer_tf.deduplication.options import DeduplicationOptions
from mixer_tf.deduplication.removals import Removal, decide
from mixer_tf.deduplication.result import DeduplicationResult
from mixer_tf.features import EVAL, TRAIN


class Deduplicate(beam.PTransform):
    """Copies an Examples folder without the images that are duplicates of images to test with.

    Args:
        folder: the Examples folder to read, with its `dataset.json`.
        splits: its splits; images are removed from "train", and from "eval" if they are duplicates
            of test images.
        output_folder: the folder to write shards and `dataset.json` to.
        report_folder: the folder to write the report to.
        downstream: open sources; none of their images, whatever the split, should be trained on.
        options: what counts as a duplicate, and what is done about it.
    """

    def __init__(
        self,
        folder: str,
        splits: Sequence[str],
        output_folder: str,
        report_folder: str,
        downstream: Sequence[Source] = (),
        options: DeduplicationOptions | None = None,
    ):
        super().__init__()
        self._folder = folder
        self._test_splits = tuple(split for split in splits if split != TRAIN)
        self._output_folder = output_folder
        self._report_folder = report_folder
        self._options = options or DeduplicationOptions()
        self._downstream = tuple(downstream)
        self._train_set = image_sets.from_examples(folder, TRAIN)
        self._test_sets = (
            *(image_sets.from_examples(folder, split) for split in self._test_splits),
            *map(image_sets.from_source, downstream),
        )

    def expand(self, pbegin):
        info = DatasetInfo.read(self._folder)
        comparable = image_sets.find_comparable_sets(info.class_names, self._downstream)
        train = pbegin | "Train" >> FingerprintSet(self._train_set, self._options.threshold)
        tests = self._fingerprint_tests(pbegin)
        galleries = [tests | "Gallery" >> MakeGallery()]
        matches = [
            train | "Compare" >> beam.FlatMap(gallery.find_in_gallery, AsSingleton(galleries[0]))
        ]
        if EVAL in self._test_splits:
            matches.append(galleries[0] | FindInTests())
        if self._options.within_train:
            galleries.append(train | "Gallery[train]" >> MakeGallery())
            matches.append(galleries[1] | FindWithin())
        matches = matches | "All matches" >> beam.Flatten() | "List" >> beam.combiners.ToList()
        removals = matches | "Decide" >> beam.Map(decide, comparable, self._options.keep)
        removed = removals | "Select" >> beam.Map(filtering.select_removed, self._options)
        leaks = matches | "Leaks" >> beam.Map(
            find_leaks,
            AsSingleton(galleries[0]),
            comparable,
            self._options.keep,
            with_marks=self._options.mode == MARK,
        )
        copy = MarkShards if self._options.mode == MARK else CopyShards
        found = leaks if self._options.mode == MARK else removed
        _ = pbegin | copy(self._folder, self._output_folder, self._test_splits, found)
        return removals | "Report" >> beam.Map(
            write_outputs,
            counts=AsSingleton(_count_images(train, tests)),
            uniform_sets=AsList(_uniform_sets(galleries)),
            conflicts=AsList(_find_conflicts((train, tests), comparable)),
            leaks=AsSingleton(leaks),
            options=self._options,
            info=info,
            readers={item.name: item.reader for item in (self._train_set, *self._test_sets)},
            output_folder=self._output_folder,
            report_folder=self._report_folder,
        )

    def _fingerprint_tests(self, pbegin) -> beam.PCollection[Fingerprints]:
        parts = [
            pbegin | f"Test[{item.name}]" >> FingerprintSet(item, self._options.threshold)
            for item in self._test_sets
        ]
        return parts | "All tests" >> beam.Flatten(pipeline=pbegin.pipeline)


class FingerprintSet(beam.PTransform):
    """Fingerprints a set of images: PBegin → Fingerprints of some images each."""

    def __init__(self, image_set: ImageSet, threshold: float):
        super().__init__()
        self._image_set, self._threshold = image_set, threshold

    def expand(self, pbegin):
        return (
            pbegin
            | beam.Create(self._image_set.shards)
            | beam.FlatMap(
                fingerprint_shard,
                reader=self._image_set.reader,
                set_name=self._image_set.name,
                threshold=self._threshold,
            )
        )


class MakeGallery(beam.PTransform):
    """Concatenates Fingerprints: Fingerprints → one Gallery."""

    def expand(self, parts):
        return parts | beam.combiners.ToList() | beam.Map(gallery.make_gallery)


class FindWithin(beam.PTransform):
    """Compares the images of a gallery with one another: one Gallery → Matches."""

    def expand(self, galleries):
        return (
            galleries
            | "Blocks" >> beam.FlatMap(gallery.list_blocks)
            | "Reshuffle" >> beam.Reshuffle()
            | "Compare" >> beam.FlatMap(gallery.find_within, AsSingleton(galleries))
        )


class FindInTests(beam.PTransform):
    """Compares the evaluation images of a gallery with its test images: one Gallery → Matches."""

    def expand(self, galleries):
        return (
            galleries
            | "Evaluation blocks" >> beam.FlatMap(gallery.list_evaluation_blocks)
            | "Reshuffle evaluation" >> beam.Reshuffle()
            | "Compare evaluation" >> beam.FlatMap(gallery.find_in_tests, AsSingleton(galleries))
        )


class CopyShards(beam.PTransform):
    """Copies all shards of an Examples folder without the removed images: PBegin → nothing.

    Args:
        folder: the Examples folder to copy from.
        output_folder: the Examples folder to copy to.
        test_splits: the splits other than training.
        removed: PCollection of one list of Removals.
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
        filtered = [
            (index, path, split)
            for split in shards.keys() & {TRAIN, EVAL}
            for index, path in enumerate(shards[split])
        ]
        others = [
            (path, split) for split in shards.keys() - {TRAIN, EVAL} for path in shards[split]
        ]
        _ = (
            pbegin
            | "Training and evaluation shards" >> beam.Create(sorted(filtered))
            | "Filter"
            >> beam.Map(
                filtering.copy_filtered_shard,
                {split: len(paths) for split, paths in shards.items()},
                self._output_folder,
                AsSingleton(self._removed),
            )
        )
        return (
            pbegin
            | "Other shards" >> beam.Create(sorted(others))
            | "Copy" >> beam.Map(copy_whole_shard, self._output_folder)
        )


class MarkShards(beam.PTransform):
    """Copies all shards, and marks evaluation and test images that leaked: PBegin → nothing.

    Args:
        folder: the Examples folder to copy from.
        output_folder: the Examples folder to copy to.
        test_splits: the splits that are marked.
        leaks: PCollection of one Leaks.
    """

    def __init__(self, folder: str, output_folder: str, test_splits: Sequence[str], leaks):
        super().__init__()
        self._folder, self._output_folder = folder, output_folder
        self._test_splits = test_splits
        self._leaks = leaks

    def expand(self, pbegin):
        marked = [
            (index, path, split, len(paths))
            for split in self._test_splits
            for paths in [examples.list_shards(self._folder, split)]
            for index, path in enumerate(paths)
        ]
        train = [(path, TRAIN) for path in examples.list_shards(self._folder, TRAIN)]
        _ = (
            pbegin
            | "Marked shards" >> beam.Create(marked)
            | "Mark" >> beam.Map(mark_shard, self._output_folder, AsSingleton(self._leaks))
        )
        return (
            pbegin
            | "Training shards" >> beam.Create(train)
            | "Copy" >> beam.Map(copy_whole_shard, self._output_folder)
        )


def mark_shard(shard: tuple[int, str, str, int], folder: str, leaks: Leaks) -> None:
    """Copies one shard of the evaluation or test split, given by index, path, split and number."""
    index, path, split, num_shards = shard
    marks = leaks.marks.get(path, {})
    examples.copy_shard_marked(path, marks, folder, split, index, num_shards)


def copy_whole_shard(path_and_split: tuple[str, str], folder: str) -> None:
    """Copies one shard unchanged."""
    path, split = path_and_split
    examples.copy_shard(path, folder, split)


def write_outputs(
    removals: list[Removal],
    counts: collections.Counter,
    uniform_sets: list[str],
    conflicts: list[Conflict],
    leaks: Leaks,
    options: DeduplicationOptions,
    info: DatasetInfo,
    readers: dict[str, Reader],
    output_folder: str,
    report_folder: str,
) -> None:
    """Writes `dataset.json` and the report."""
    result = DeduplicationResult(
        options=options,
        removals=tuple(removals),
        counts=counts,
        uniform_sets=tuple(uniform_sets),
        readers=readers,
        leaked=leaks.counts,
        label_conflicts=tuple(sorted(conflicts)),
    )
    num_train = sum(info.counts[TRAIN].values())
    lines = [
        *notes.describe_removals(removals, options, uniform_sets, num_train),
        *notes.describe_conflicts(result.label_conflicts),
    ]
    filtering.update_info(info, result.removed, lines).write(output_folder)
    result.write(report_folder)


def _count_images(*parts: beam.PCollection[Fingerprints]) -> beam.PCollection[collections.Counter]:
    return (
        parts
        | "All fingerprints" >> beam.Flatten()
        | "Count" >> beam.Map(report.count_images)
        | "Add counts" >> beam.CombineGlobally(report.add_counts)
    )


def _find_conflicts(
    parts: Sequence[beam.PCollection[Fingerprints]], comparable_sets: Collection[str]
) -> beam.PCollection[Conflict]:
    return (
        parts
        | "All labels" >> beam.Flatten()
        | "Labels" >> beam.FlatMap(label_conflicts.labeled_images, comparable_sets)
        | "Equal bytes" >> beam.GroupByKey()
        | "Label conflicts" >> beam.FlatMap(label_conflicts.find_conflict)
    )


def _uniform_sets(galleries: list) -> beam.PCollection[str]:
    return (
        galleries
        | "All galleries" >> beam.Flatten()
        | "Uniform sets" >> beam.FlatMap(gallery.uniform_sets_of)
    )
