# SPDX-License-Identifier: Apache-2.0
"""The work of Deduplicator in Beam: fingerprint, compare, decide, copy what stays, report.

Images stream past; only their fingerprints are held. Those of the test sets go to every worker,
those of the training images only where training is compared with itself.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Iterator, Sequence

import apache_beam as beam
import numpy as np
from apache_beam.pvalue import AsList, AsSingleton

from mixer_tf.datasets import examples
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.datasets.sources.source import Source
from mixer_tf.deduplication import contact_sheet, report
from mixer_tf.deduplication.contact_sheet import Reader
from mixer_tf.deduplication.fingerprints import Fingerprints, concatenate, fingerprint
from mixer_tf.deduplication.matching import Match, find_matches
from mixer_tf.deduplication.removals import Removal, decide, update_info
from mixer_tf.deduplication.uniform_sets import raise_thresholds
from mixer_tf.features import TRAIN

# Training images that are compared with all others at a time, where training is compared with
# itself.
_BLOCK = 1024


@dataclasses.dataclass(frozen=True)
class Gallery:
    """The images that others are compared with.

    Attributes:
        images: their fingerprints.
        uniform: names of the sets whose images are too alike to tell copies from look-alikes.
    """

    images: Fingerprints
    uniform: tuple[str, ...]


class Deduplicate(beam.PTransform):
    """Copies an Examples folder without the training images that are copies of others.

    Args:
        folder: of the Examples to read, with their `dataset.json`.
        splits: their splits; all but "train" are copied as they are.
        output_folder: where to write shards and `dataset.json`.
        report_folder: where to write the report.
        downstream: open sources whose images, of all splits, must not be in training.
        within_train: whether only one of several copies within training stays.
    """

    def __init__(
        self,
        folder: str,
        splits: Sequence[str],
        output_folder: str,
        report_folder: str,
        downstream: Sequence[Source] = (),
        within_train: bool = False,
    ):
        super().__init__()
        self._folder = folder
        self._test_splits = tuple(split for split in splits if split != TRAIN)
        self._output_folder = output_folder
        self._report_folder = report_folder
        self._downstream = tuple(downstream)
        self._within_train = within_train

    def expand(self, pbegin):
        train = pbegin | "Train" >> FingerprintSplit(self._folder, TRAIN)
        tests = self._fingerprint_tests(pbegin)
        galleries = [tests | "Gallery" >> MakeGallery()]
        matches = [train | "Compare" >> beam.FlatMap(find, AsSingleton(galleries[0]))]
        if self._within_train:
            galleries.append(train | "Gallery[train]" >> MakeGallery())
            matches.append(galleries[1] | FindWithin())
        removals = (
            matches
            | "All matches" >> beam.Flatten()
            | "List" >> beam.combiners.ToList()
            | "Decide" >> beam.Map(decide)
        )
        _ = pbegin | CopyShards(self._folder, self._output_folder, self._test_splits, removals)
        counts = (
            (train | "Count[train]" >> beam.Map(count), tests | "Count[tests]" >> beam.Map(count))
            | "All counts" >> beam.Flatten()
            | "Add up" >> beam.CombineGlobally(add_up)
        )
        uniform = galleries | "All galleries" >> beam.Flatten() | beam.FlatMap(list_uniform)
        return removals | "Report" >> beam.Map(
            write_outputs,
            counts=AsSingleton(counts),
            uniform=AsList(uniform),
            info=DatasetInfo.read(self._folder),
            readers=self._readers(),
            output_folder=self._output_folder,
            report_folder=self._report_folder,
        )

    def _readers(self) -> dict[str, Reader]:
        """Set name → what reads its work items again; training, then all test sets."""
        own = dict.fromkeys((TRAIN, *self._test_splits), examples.read_records)
        return {**own, **{source.spec: source.reader for source in self._downstream}}

    def _fingerprint_tests(self, pbegin) -> beam.PCollection[Fingerprints]:
        own = [
            pbegin | f"Test[{split}]" >> FingerprintSplit(self._folder, split)
            for split in self._test_splits
        ]
        others = [
            pbegin | f"Downstream[{source.spec}]" >> FingerprintSource(source)
            for source in self._downstream
        ]
        return (*own, *others) | "All tests" >> beam.Flatten(pipeline=pbegin.pipeline)


class FingerprintSplit(beam.PTransform):
    """Fingerprints one split of an Examples folder: PBegin → Fingerprints of some images each."""

    def __init__(self, folder: str, split: str):
        super().__init__()
        self._paths = examples.list_shards(folder, split)
        self._split = split

    def expand(self, pbegin):
        return (
            pbegin | beam.Create(self._paths) | beam.FlatMap(fingerprint_shard, split=self._split)
        )


class FingerprintSource(beam.PTransform):
    """Fingerprints all images of an open source: PBegin → Fingerprints of some images each."""

    def __init__(self, source: Source):
        super().__init__()
        self._source = source

    def expand(self, pbegin):
        source = self._source
        entries = [entry for split in source.splits for entry in source.shards_of(split)]
        return (
            pbegin
            | beam.Create(entries)
            | beam.FlatMap(fingerprint_entry, reader=source.reader, set_name=source.spec)
        )


class MakeGallery(beam.PTransform):
    """Puts Fingerprints together: → one Gallery."""

    def expand(self, parts):
        return parts | beam.combiners.ToList() | beam.Map(make_gallery)


class FindWithin(beam.PTransform):
    """Compares the images of a gallery with one another: one Gallery → Matches."""

    def expand(self, gallery):
        return (
            gallery
            | "Blocks" >> beam.FlatMap(list_blocks)
            | "Spread" >> beam.Reshuffle()
            | "Compare" >> beam.FlatMap(find_within, AsSingleton(gallery))
        )


class CopyShards(beam.PTransform):
    """Copies all shards of an Examples folder without the images that go: PBegin → nothing.

    Args:
        folder: to copy from.
        output_folder: to copy to.
        test_splits: the splits that are copied as they are.
        removals: PCollection of one list of Removals.
    """

    def __init__(self, folder: str, output_folder: str, test_splits: Sequence[str], removals):
        super().__init__()
        self._folder, self._output_folder = folder, output_folder
        self._test_splits = test_splits
        self._removals = removals

    def expand(self, pbegin):
        train = examples.list_shards(self._folder, TRAIN)
        others = [
            (path, split)
            for split in self._test_splits
            for path in examples.list_shards(self._folder, split)
        ]
        _ = (
            pbegin
            | "Training shards" >> beam.Create(list(enumerate(train)))
            | "Filter"
            >> beam.Map(copy_train, len(train), self._output_folder, AsSingleton(self._removals))
        )
        return (
            pbegin
            | "Other shards" >> beam.Create(others)
            | "Copy" >> beam.Map(copy_test, self._output_folder)
        )


def fingerprint_shard(path: str, split: str) -> Iterator[Fingerprints]:
    return fingerprint(examples.read_records(path), split, path)


def fingerprint_entry(entry, reader, set_name: str) -> Iterator[Fingerprints]:
    return fingerprint(reader(entry), set_name, entry)


def make_gallery(parts: list[Fingerprints]) -> Gallery:
    return Gallery(*raise_thresholds(concatenate(parts)))


def list_uniform(gallery: Gallery) -> tuple[str, ...]:
    return gallery.uniform


def find(images: Fingerprints, gallery: Gallery) -> Iterator[Match]:
    return find_matches(images, gallery.images)


def list_blocks(gallery: Gallery) -> Iterable[int]:
    return range(0, len(gallery.images), _BLOCK)


def find_within(start: int, gallery: Gallery) -> Iterator[Match]:
    """Yields the copies of a block of the gallery among the images that come before each."""
    indices = np.arange(start, min(start + _BLOCK, len(gallery.images)))
    return find_matches(gallery.images.take(indices), gallery.images, indices)


def count(images: Fingerprints) -> collections.Counter:
    compared = collections.Counter(("compared", image.set_name) for image in images.ids)
    unreadable = {("unreadable", name): number for name, number in images.unreadable.items()}
    return compared + collections.Counter(unreadable)


def add_up(counters: Iterable[collections.Counter]) -> collections.Counter:
    return sum(counters, collections.Counter())


def copy_train(
    numbered_path: tuple[int, str], num_shards: int, folder: str, removals: list[Removal]
) -> None:
    """Copies one shard of the training split without the images that go."""
    index, path = numbered_path
    left_out = {r.match.image.index for r in removals if r.match.image.work_item == path}
    examples.copy_without(path, left_out, folder, TRAIN, index, num_shards)


def copy_test(path_and_split: tuple[str, str], folder: str) -> None:
    """Copies one shard of another split as it is."""
    path, split = path_and_split
    examples.copy(path, folder, split)


def write_outputs(
    removals: list[Removal],
    counts: collections.Counter,
    uniform: list[str],
    info: DatasetInfo,
    readers: dict[str, Reader],
    output_folder: str,
    report_folder: str,
) -> None:
    """Writes `dataset.json` and the report; `readers` names all sets that were compared."""
    update_info(info, removals, uniform).write(output_folder)
    summary = report.summarize(removals, counts, list(readers), uniform)
    report.write(report_folder, summary, removals)
    contact_sheet.write(report_folder, removals, readers)
