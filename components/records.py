# SPDX-License-Identifier: Apache-2.0
"""Beam transforms of several components: read, write and count ImageRecords."""

from __future__ import annotations

import collections
import os
from collections.abc import Iterable

import apache_beam as beam

from mixer_tf.datasets import examples
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.datasets.quarantine import notes_of_remarks
from mixer_tf.features import ImageRecord


class ReadRecords(beam.PTransform):
    """Reads one split of an Examples folder: PBegin → ImageRecord."""

    def __init__(self, folder: str, split: str):
        super().__init__()
        self._pattern = examples.file_pattern(folder, split)

    def expand(self, pbegin):
        return (
            pbegin
            | "Read" >> beam.io.ReadFromTFRecord(self._pattern, validate=False)
            | "Parse" >> beam.Map(ImageRecord.from_example).with_output_types(ImageRecord)
        )


class WriteRecords(beam.PTransform):
    """Writes ImageRecords as gzip TFRecord shards in the layout of TFX."""

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
    """Writes `dataset.json` from ((split, class name), count) pairs.

    Args:
        info: the description without the counts.
        splits: all splits of the dataset, including empty ones.
        folder: the Examples folder.
        remarks: PCollection of (remark, source) pairs for the notes, or None.
    """

    def __init__(self, info: DatasetInfo, splits: Iterable[str], folder: str, remarks=None):
        super().__init__()
        self._remarks = remarks
        self._info = info
        self._splits = tuple(splits)
        self._folder = folder

    def expand(self, counts):
        remarks = () if self._remarks is None else beam.pvalue.AsList(self._remarks)
        return (
            counts
            | beam.combiners.ToList()
            | beam.Map(_write_info, self._info, self._splits, self._folder, remarks)
        )


def _split_and_class(record: ImageRecord, split: str) -> tuple[str, str]:
    return split, record.class_name


def _write_info(
    counts: Iterable[tuple[tuple[str, str], int]],
    info: DatasetInfo,
    splits: tuple[str, ...],
    folder: str,
    remarks: Iterable[tuple[str, str]] = (),
) -> None:
    by_split = {split: collections.Counter() for split in splits}
    for (split, class_name), count in counts:
        by_split[split][class_name] = count
    order = {name: label for label, name in enumerate(info.class_names)}
    ordered = {
        split: {name: found[name] for name in sorted(found, key=lambda name: order.get(name, -1))}
        for split, found in by_split.items()
    }
    notes = (*info.notes, *notes_of_remarks(remarks))
    DatasetInfo(info.source, info.class_names, ordered, notes).write(folder)
