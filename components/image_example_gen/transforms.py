# SPDX-License-Identifier: Apache-2.0
"""The work of ImageExampleGen: reads a source in parallel, writes tf.Examples, counts classes."""

from __future__ import annotations

import apache_beam as beam

from components.records import CountClasses, WriteInfo, WriteRecords
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.datasets.sources.source import Source
from mixer_tf.features import ImageRecord


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
    """Writes every split of a source, and `dataset.json`, into a folder."""

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
        info = DatasetInfo(self._source.spec, self._source.class_names, {}, self._source.notes)
        return counts | beam.Flatten() | WriteInfo(info, self._source.splits, self._folder)
