# SPDX-License-Identifier: Apache-2.0
"""The work of Preprocessor: checks, reduces and shuffles the images, and writes equal shards."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator

import apache_beam as beam
from apache_beam import pvalue

from components.records import CountClasses, ReadRecords, WriteInfo
from mixer_tf import images, storage
from mixer_tf.datasets import examples, validation
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.features import TRAIN, ImageRecord

SHARD_BYTES = 64 * 2**20
_REJECTED = "rejected"
_REMARKS = "remarks"


class Preprocess(beam.PTransform):
    """Reads the splits of one Examples folder and writes those of another.

    Args:
        folder: the folder of the Examples to read, with their `dataset.json`.
        splits: the splits of these Examples.
        output_folder: the folder for shards and `dataset.json`.
        quarantine_folder: the folder for `quarantine.jsonl`.
        train_shorter_side: pixels to which the shorter side of larger training images is reduced,
            or None. Evaluation and test images keep their size, as images do in serving.
        num_shards: number of files for each split; None for one file per `SHARD_BYTES`.
    """

    def __init__(
        self,
        folder: str,
        splits: Iterable[str],
        output_folder: str,
        quarantine_folder: str,
        train_shorter_side: int | None = None,
        num_shards: int | None = None,
    ):
        super().__init__()
        self._folder = folder
        self._splits = tuple(splits)
        self._output_folder = output_folder
        self._quarantine_folder = quarantine_folder
        self._train_shorter_side = train_shorter_side
        self._num_shards = num_shards

    def expand(self, pbegin):
        counts, lines, remarks = [], [], []
        for split in self._splits:
            num_shards = self._num_shards or count_shards(self._folder, split)
            records = pbegin | f"Read[{split}]" >> ReadRecords(self._folder, split)
            shorter_side = self._train_shorter_side if split == TRAIN else None
            checked = records | f"Check[{split}]" >> CheckRecords(split, shorter_side)
            counts.append(checked.usable | f"Count[{split}]" >> CountClasses(split))
            lines.append(checked[_REJECTED])
            remarks.append(checked[_REMARKS])
            _ = checked.usable | f"Write[{split}]" >> WriteShuffled(
                self._output_folder, split, num_shards
            )
        info = DatasetInfo.read(self._folder)
        _ = (
            counts
            | "All counts" >> beam.Flatten()
            | WriteInfo(info, self._splits, self._output_folder, remarks | beam.Flatten())
        )
        return lines | "All lines" >> beam.Flatten() | WriteQuarantine(self._quarantine_folder)


class CheckRecords(beam.PTransform):
    """ImageRecord → `usable` ImageRecords, `rejected` lines of the quarantine file, `remarks`."""

    def __init__(self, split: str, shorter_side: int | None):
        super().__init__()
        self._split = split
        self._shorter_side = shorter_side

    def expand(self, records):
        return records | beam.FlatMap(check, self._split, self._shorter_side).with_outputs(
            _REJECTED, _REMARKS, main="usable"
        )


class WriteShuffled(beam.PTransform):
    """Writes ImageRecords in a shuffled order into gzip TFRecord shards of a split.

    Shard and position come from a hash of image and source, so that the files are the same bytes
    on every engine and with any number of workers. A shard is sorted in memory.
    """

    def __init__(self, folder: str, split: str, num_shards: int):
        super().__init__()
        self._folder, self._split, self._num_shards = folder, split, num_shards

    def expand(self, records):
        shards = records.pipeline | "Shards" >> beam.Create(
            [(index, None) for index in range(self._num_shards)], reshuffle=False
        )
        keyed = records | "Key" >> beam.Map(key_by_shard, self._num_shards)
        return (
            [shards, keyed]  # so that a shard without images is written as well
            | beam.Flatten()
            | beam.GroupByKey()
            | "Write" >> beam.Map(write_shard, self._folder, self._split, self._num_shards)
        )


class WriteQuarantine(beam.PTransform):
    """Writes the lines, sorted, to `quarantine.jsonl`; without lines, the file is empty."""

    def __init__(self, folder: str):
        super().__init__()
        self._path = os.path.join(folder, validation.FILE_NAME)

    def expand(self, lines):
        return lines | beam.combiners.ToList() | beam.Map(write_lines, self._path)


def check(record: ImageRecord, split: str, shorter_side: int | None) -> Iterator:
    """Yields the record, reduced if it is larger, or its line of the quarantine file.

    Before the record, there may be (remark, source) pairs of what is odd about it.
    """
    try:
        usable, remarks = validation.examine_record(record)
    except images.UnusableImageError as error:
        yield pvalue.TaggedOutput(_REJECTED, validation.to_line(record, split, str(error)))
        return
    for remark in remarks:
        yield pvalue.TaggedOutput(_REMARKS, (remark, record.source))
    yield reduce_record(usable, shorter_side) if shorter_side else usable


def reduce_record(record: ImageRecord, shorter_side: int) -> ImageRecord:
    """Returns the record with an image whose shorter side has at most that many pixels."""
    encoded = images.reduce_shorter_side(record.encoded, shorter_side)
    return validation.replace_image(record, encoded)


def count_shards(folder: str, split: str) -> int:
    """Returns how many files a split should have, from its size in bytes."""
    paths = storage.find_files(examples.file_pattern(folder, split))
    return max(1, round(sum(map(storage.file_size, paths)) / SHARD_BYTES))


def key_by_shard(record: ImageRecord, num_shards: int) -> tuple[int, tuple[bytes, bytes]]:
    """Returns the index of the shard, and (position in it, tf.Example)."""
    serialized = record.to_example()
    digest = hashlib.sha256(serialized).digest()
    return int.from_bytes(digest[:8], "big") % num_shards, (digest[8:], serialized)


def write_shard(
    shard: tuple[int, Iterable[tuple[bytes, bytes] | None]],
    folder: str,
    split: str,
    num_shards: int,
) -> None:
    """Writes one shard, sorted by position."""
    index, items = shard
    ordered = sorted(item for item in items if item is not None)
    examples.write_shard((item[1] for item in ordered), folder, split, index, num_shards)


def write_lines(lines: list[str], path: str) -> None:
    storage.make_folder(os.path.dirname(path))  # Kubeflow Pipelines v2 and Vertex make none
    storage.write_text(path, "".join(f"{line}\n" for line in sorted(lines)))
