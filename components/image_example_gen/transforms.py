# SPDX-License-Identifier: Apache-2.0
"""The work of ImageExampleGen: reads a source in parallel, writes tf.Examples, counts classes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import AsSingleton

from components.records import with_counts
from mixer_tf import storage
from mixer_tf.datasets import shards
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.datasets.shards import Parts
from mixer_tf.datasets.sources.source import Source
from mixer_tf.features import ImageRecord

Group = tuple[str, int, tuple[Any, ...]]


class ReadSplit(beam.PTransform):
    """Reads one split of an open source: PBegin → ImageRecord.

    Only the work items and the source's small reader are sent to the workers.
    """

    def __init__(self, source: Source, split: str):
        super().__init__()
        self._source = source
        self._split = split

    def expand(self, pbegin):
        return (
            pbegin
            | "Shards" >> beam.Create(self._source.shards_of(self._split), reshuffle=False)
            | "Spread" >> beam.Reshuffle()
            | "Read" >> beam.FlatMap(self._source.reader).with_output_types(ImageRecord)
        )


class WriteExamples(beam.PTransform):
    """Writes every split of a source, and `dataset.json`, into a folder.

    A worker writes whole files, so that no image passes through Beam. Files and order depend on
    the source alone. They get their final names when all are written, and `dataset.json` comes
    last.
    """

    def __init__(self, source: Source, folder: str):
        super().__init__()
        self._source = source
        self._folder = folder

    def expand(self, pbegin):
        source = self._source
        groups = [
            (split, index, items)
            for split in source.splits
            for index, items in enumerate(shards.group_items(source.shards_of(split)))
        ]
        parts = (
            pbegin
            | "Groups" >> beam.Create(groups, reshuffle=False)
            | "Spread" >> beam.Reshuffle()
            | "Write" >> beam.Map(write_group, source.reader, self._folder)
            | "All parts" >> beam.combiners.ToList()
        )
        renamed = (
            parts
            | "Name" >> beam.FlatMap(shards.name_parts, self._folder, source.splits)
            | "Spread names" >> beam.Reshuffle()
            | "Rename" >> beam.MapTuple(storage.rename_file)
            | "Count" >> beam.combiners.Count.Globally()
        )
        info = DatasetInfo(source.spec, source.class_names, {}, source.notes)
        return parts | beam.Map(write_info, info, source.splits, self._folder, AsSingleton(renamed))


def write_group(group: Group, reader: Callable[[Any], Iterator[ImageRecord]], folder: str) -> Parts:
    """Writes the images of some work items."""
    split, index, items = group
    records = (record for item in items for record in reader(item))
    return shards.write_parts(records, folder, split, index)


def write_info(
    parts: Sequence[Parts], info: DatasetInfo, splits: Sequence[str], folder: str, num_renamed: int
) -> None:
    """Writes `dataset.json`; the number of renamed files is there so that they come first."""
    del num_renamed
    storage.remove_folder(shards.work_folder(folder))
    with_counts(info, splits, [(found.split, found.counts) for found in parts]).write(folder)
