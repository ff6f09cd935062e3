# SPDX-License-Identifier: Apache-2.0
"""The work of ImageExampleGen: read a source in parallel, write it as tf.Examples, count it."""

from __future__ import annotations

import collections
import os
from collections.abc import Iterable

import apache_beam as beam

from mixer_tf.datasets import sources
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.datasets.sources import Source
from mixer_tf.features import ImageRecord


class ReadSource(beam.PTransform):
    """Opens a source and reads one of its splits: PBegin → ImageRecord."""

    def __init__(self, spec: str, data_dir: str | None, split: str):
        super().__init__()
        self._source = sources.parse(spec, data_dir)
        self._split = split

    def expand(self, pbegin):
        return pbegin | ReadSplit(self._source, self._split)


class ReadSplit(beam.PTransform):
    """Reads one split of an open source: PBegin → ImageRecord.

    Only the work items and the source's small reader travel to the workers.
    """

    def __init__(self, source: Source, split: str):
        super().__init__()
        self._source = source
        self._split = split

    def expand(self, pbegin):
        return (
            pbegin
            | "Entries" >> beam.Create(self._source.entries(self._split), reshuffle=False)
            | "Spread" >> beam.Reshuffle()
            | "Read" >> beam.FlatMap(self._source.reader).with_output_types(ImageRecord)
        )


class WriteExamples(beam.PTransform):
    """Writes every split of a source below a folder, and `dataset.json` beside them."""

    def __init__(self, source: Source, folder: str):
        super().__init__()
        self._source = source
        self._folder = folder

    def expand(self, pbegin):
        counts = []
        for split in self._source.splits:
            records = pbegin | f"Read[{split}]" >> ReadSplit(self._source, split)
            _ = records | f"Write[{split}]" >> WriteRecords(self._folder, split)
            counts.append(records | f"Count[{split}]" >> CountClasses(split))
        return counts | beam.Flatten() | WriteInfo(self._source, self._folder)


class WriteRecords(beam.PTransform):
    """Writes ImageRecords as gzip TFRecord shards where TFX looks for the split."""

    def __init__(self, folder: str, split: str):
        super().__init__()
        self._prefix = os.path.join(folder, f"Split-{split}", "data_tfrecord")

    def expand(self, records):
        return (
            records
            | "Serialize" >> beam.Map(ImageRecord.to_example)
            | "Write" >> beam.io.WriteToTFRecord(self._prefix, file_name_suffix=".gz")
        )


class CountClasses(beam.PTransform):
    """Counts the images of each class: ImageRecord → ((split, class name), count)."""

    def __init__(self, split: str):
        super().__init__()
        self._split = split

    def expand(self, records):
        return (
            records
            | "Key" >> beam.Map(_split_and_class, self._split)
            | "Count" >> beam.combiners.Count.PerElement()
        )


class WriteInfo(beam.PTransform):
    """Writes `dataset.json` from ((split, class name), count) pairs."""

    def __init__(self, source: Source, folder: str):
        super().__init__()
        self._info = DatasetInfo(source.spec, source.class_names, {}, source.notes)
        self._splits = source.splits
        self._folder = folder

    def expand(self, counts):
        return (
            counts
            | beam.combiners.ToList()
            | beam.Map(_write_info, self._info, self._splits, self._folder)
        )


def _split_and_class(record: ImageRecord, split: str) -> tuple[str, str]:
    return split, record.class_name


def _write_info(
    counts: Iterable[tuple[tuple[str, str], int]],
    info: DatasetInfo,
    splits: tuple[str, ...],
    folder: str,
) -> None:
    by_split = {split: collections.Counter() for split in splits}
    for (split, class_name), count in counts:
        by_split[split][class_name] = count
    order = {name: label for label, name in enumerate(info.class_names)}
    ordered = {
        split: {name: found[name] for name in sorted(found, key=lambda name: order.get(name, -1))}
        for split, found in by_split.items()
    }
    DatasetInfo(info.source, info.class_names, ordered, info.notes).write(folder)
