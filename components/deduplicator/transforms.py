# SPDX-License-Identifier: Apache-2.0
"""Deduplication in Beam: fingerprint, compare, decide, copy the shards, report.

All work is done by functions of `mixer_tf.deduplication`. Images are streamed; only fingerprints
are held in memory, in blocks. Decisions are made where the matches of an image are; `copying` then
copies each shard with the removals of its own images.
"""

from __future__ import annotations

import collections
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import AsList, AsSingleton

from components.deduplicator.comparison import (
    FindInSets,
    FindInTests,
    FindUniformSets,
    FindWithin,
)
from components.deduplicator.copying import CopyShards, MarkShards, select_removed
from components.deduplicator.decisions import Decide
from components.deduplicator.gathering import SortIntoFiles
from components.deduplicator.leaked import FindLeaks
from mixer_tf import storage
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.datasets.shards import work_folder
from mixer_tf.datasets.sources.source import Source
from mixer_tf.deduplication import (
    filtering,
    image_sets,
    label_conflicts,
    notes,
    report,
)
from mixer_tf.deduplication.fingerprints import Fingerprints, fingerprint_shard
from mixer_tf.deduplication.image_sets import ImageSet, Reader
from mixer_tf.deduplication.label_conflicts import Conflict
from mixer_tf.deduplication.modes import MARK
from mixer_tf.deduplication.options import DeduplicationOptions
from mixer_tf.deduplication.removals import removal_key
from mixer_tf.deduplication.result import DeduplicationResult
from mixer_tf.deduplication.sorted_files import SortedItems
from mixer_tf.features import EVAL, TRAIN


class Deduplicate(beam.PTransform):
    """Copies an Examples folder without the images that are duplicates of images to test with.

    Args:
        folder: the Examples folder to read, with its `dataset.json`.
        splits: its splits; images are removed from "train", and from "eval" if they are duplicates
            of test images.
        output_folder: the folder to write shards and `dataset.json` to; whoever runs the pipeline
            then removes its `shards.work_folder`.
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
        threshold = self._options.threshold
        train = pbegin | "Train" >> FingerprintSets((self._train_set,), threshold)
        tests = pbegin | "Tests" >> FingerprintSets(self._test_sets, threshold)
        uniform = [tests | "Uniform tests" >> FindUniformSets()]
        matches = [train | "With tests" >> FindInSets(tests, uniform[0])]
        if EVAL in self._test_splits:
            matches.append(tests | "Evaluation with tests" >> FindInTests(uniform[0]))
        if self._options.within_train:
            uniform.append(train | "Uniform train" >> FindUniformSets())
            blocks = FindWithin(uniform[1], work_folder(self._output_folder))
            matches.append(train | "Within train" >> blocks)
        matches = matches | "All matches" >> beam.Flatten()
        removals = matches | Decide(comparable, self._options.keep, self._options.within_train)
        leaks = matches | FindLeaks(tests, comparable, self._options.keep)
        _ = pbegin | self._copy(removals, leaks)
        folder = work_folder(self._output_folder)
        conflicts = _find_conflicts(train, tests, comparable)
        return (
            removals
            | "Removals" >> SortIntoFiles(folder, "removals", removal_key)
            | "Report"
            >> beam.Map(
                write_outputs,
                counts=AsSingleton(_count_images(train, tests)),
                uniform_sets=AsList(_flatten_names(uniform)),
                conflicts=AsSingleton(
                    conflicts | "Conflicts" >> SortIntoFiles(folder, "conflicts")
                ),
                leaked=AsSingleton(_count_leaks(leaks)),
                options=self._options,
                info=info,
                readers={item.name: item.reader for item in (self._train_set, *self._test_sets)},
                output_folder=self._output_folder,
                report_folder=self._report_folder,
            )
        )

    def _copy(self, removals, leaks) -> beam.PTransform:
        folders = self._folder, self._output_folder
        if self._options.mode == MARK:
            return MarkShards(*folders, self._test_splits, leaks)
        removed = removals | "Select" >> beam.FlatMap(select_removed, self._options)
        return CopyShards(*folders, self._test_splits, removed)


class FingerprintSets(beam.PTransform):
    """Fingerprints sets of images: PBegin → Fingerprints of some images of one set.

    Training is apart from the others, so that its fingerprints are compared where they are made.
    """

    def __init__(self, image_sets: Sequence[ImageSet], threshold: float):
        super().__init__()
        self._work_items = [(item.name, shard) for item in image_sets for shard in item.shards]
        self._readers = {item.name: item.reader for item in image_sets}
        self._threshold = threshold

    def expand(self, pbegin):
        return (
            pbegin
            | "Work items" >> beam.Create(self._work_items)
            | "Fingerprint" >> beam.FlatMap(fingerprint, self._readers, self._threshold)
        )


def fingerprint(
    work_item: tuple[str, Any], readers: Mapping[str, Reader], threshold: float
) -> Iterator[Fingerprints]:
    """Yields the fingerprints of a work item of a set, given with the name of the set."""
    set_name, shard = work_item
    # Parts of 128 images have 1.7 MB; Flink cannot sort records of several times that.
    yield from fingerprint_shard(shard, readers[set_name], set_name, threshold)


def write_outputs(
    removals: SortedItems,
    counts: collections.Counter,
    uniform_sets: list[str],
    conflicts: SortedItems,
    leaked: Mapping[str, int],
    options: DeduplicationOptions,
    info: DatasetInfo,
    readers: dict[str, Reader],
    output_folder: str,
    report_folder: str,
) -> None:
    """Writes `dataset.json` and the report."""
    result = DeduplicationResult(
        options=options,
        removals=removals,
        counts=counts,
        uniform_sets=tuple(uniform_sets),
        readers=readers,
        leaked=leaked,
        label_conflicts=conflicts,
    )
    num_train = sum(info.counts[TRAIN].values())
    lines = [
        *notes.describe_removals(result.tally, options, uniform_sets, num_train),
        *notes.describe_conflicts(conflicts),
    ]
    storage.make_folder(output_folder)  # no shard may have been copied yet
    filtering.update_info(info, result.removed_classes, lines).write(output_folder)
    result.write(report_folder)


# The Flink and Spark runners of Beam 2.62 cannot run a pipeline in which a collection is flattened
# with others and also used alone (apache/beam#34647). So what is flattened is made for that alone.


def _count_images(train, tests) -> beam.PCollection[collections.Counter]:
    counts = [
        train | "Count train" >> beam.Map(report.count_images),
        tests | "Count tests" >> beam.Map(report.count_images),
    ]
    return counts | "All counts" >> beam.Flatten() | beam.CombineGlobally(report.add_counts)


def _find_conflicts(train, tests, comparable_sets: Collection[str]) -> beam.PCollection[Conflict]:
    labels = [
        train | "Train labels" >> beam.FlatMap(label_conflicts.labeled_images, comparable_sets),
        tests | "Test labels" >> beam.FlatMap(label_conflicts.labeled_images, comparable_sets),
    ]
    return (
        labels
        | "All labels" >> beam.Flatten()
        | "Equal bytes" >> beam.GroupByKey()
        | "Label conflicts" >> beam.FlatMap(label_conflicts.find_conflict)
    )


def _count_leaks(leaks) -> beam.PCollection[Mapping[str, int]]:
    return (
        leaks
        | "Leaked sets" >> beam.Map(lambda leaked: leaked.image.set_name)
        | "Count leaks" >> beam.combiners.Count.PerElement()
        | "Leak counts" >> beam.combiners.ToDict()
    )


def _flatten_names(uniform: list) -> beam.PCollection[str]:
    names = [
        item | f"Uniform sets {number}" >> beam.FlatMap(lambda names: names)
        for number, item in enumerate(uniform)
    ]
    return names | "All uniform sets" >> beam.Flatten()
