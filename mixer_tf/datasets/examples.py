# SPDX-License-Identifier: Apache-2.0
"""Writes images as TFRecord shards in the layout of TFX's Examples, without TFX.

`export` is what `mixer train` uses instead of the pipeline's first steps: the same record, the
same check, the same folders.
"""

from __future__ import annotations

import collections
import contextlib
import itertools
import os
from collections.abc import Callable, Collection, Iterable, Iterator

from mixer_tf import images
from mixer_tf.datasets import validation
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.datasets.sources.source import Source
from mixer_tf.features import TRAIN, ImageRecord

_SHARDS = 4
_READ_AT_ONCE = 16


def file_pattern(folder: str, split: str) -> str:
    """The glob that finds the shards of a split below an Examples folder."""
    return os.path.join(folder, f"Split-{split}", "data_tfrecord-*.gz")


def write(records: Iterable[ImageRecord], folder: str, split: str, num_shards: int) -> int:
    """Writes records in turn to the gzip shards of a split, and returns how many there were.

    The shards get their names when all are complete; an interrupted call leaves none.
    """
    import tensorflow as tf

    paths = [_shard_path(folder, split, index, num_shards) for index in range(num_shards)]
    tf.io.gfile.makedirs(os.path.dirname(paths[0]))
    count = 0
    with contextlib.ExitStack() as stack:
        open_shard = [
            stack.enter_context(tf.io.TFRecordWriter(_partial(path), _gzip_options()))
            for path in paths
        ]
        for record, shard in zip(records, itertools.cycle(open_shard), strict=False):
            shard.write(record.to_example())
            count += 1
    for path in paths:
        tf.io.gfile.rename(_partial(path), path, overwrite=True)
    return count


def write_shard(
    examples: Iterable[bytes], folder: str, split: str, index: int, num_shards: int
) -> None:
    """Writes serialized tf.Examples as one of the shards of a split; complete or not at all."""
    import tensorflow as tf

    path = _shard_path(folder, split, index, num_shards)
    tf.io.gfile.makedirs(os.path.dirname(path))
    with tf.io.TFRecordWriter(_partial(path), _gzip_options()) as writer:
        for example in examples:
            writer.write(example)
    tf.io.gfile.rename(_partial(path), path, overwrite=True)


def export(
    source: Source, folder: str, progress: Callable[[int], None] | None = None
) -> DatasetInfo:
    """Writes a whole source as checked TFRecord shards, `dataset.json` and `quarantine.jsonl`.

    Args:
        source: an open source.
        folder: where to write; it is made where it does not exist.
        progress: called with the number of images that were looked at, now and then.

    Returns:
        What `dataset.json` holds; only usable images are counted.

    Raises:
        ValueError: no usable image for training.
    """
    from tensorflow.io import gfile

    gfile.makedirs(folder)
    quarantine_path = os.path.join(folder, validation.FILE_NAME)
    with gfile.GFile(quarantine_path, "w") as file:
        checker = _Checker(source, file, progress or (lambda looked_at: None))
        for split in source.splits:
            write(checker.usable_records(split), folder, split, _SHARDS)
    if not checker.counts.get(TRAIN):
        raise ValueError(
            f"at least one training image must be usable; none of the {checker.looked_at:,} images "
            f"of {source.spec} is. The reasons are in {quarantine_path}."
        )
    info = DatasetInfo(source.spec, source.class_names, checker.counts, source.notes)
    info.write(folder)
    return info


class _Checker:
    """Parts a source into usable records and lines of the quarantine file, and counts both."""

    def __init__(self, source: Source, file, progress: Callable[[int], None]):
        self._source, self._file, self._progress = source, file, progress
        self.looked_at = 0
        self.counts: dict[str, dict[str, int]] = {}

    def usable_records(self, split: str) -> Iterator[ImageRecord]:
        by_class = collections.Counter()
        for entry in self._source.shards_of(split):
            for record in self._source.read(entry):
                self.looked_at += 1
                try:
                    yield validation.check_record(record)
                    by_class[record.class_name] += 1
                except images.UnusableImageError as error:
                    self._file.write(validation.to_line(record, split, str(error)) + "\n")
            self._progress(self.looked_at)
        self.counts[split] = dict(sorted(by_class.items()))


def _gzip_options():
    import tensorflow as tf

    # Level 1: encoded images hardly shrink, and higher levels cost three times as long.
    return tf.io.TFRecordOptions(compression_type="GZIP", compression_level=1)


def _shard_path(folder: str, split: str, index: int, num_shards: int) -> str:
    name = f"data_tfrecord-{index:05d}-of-{num_shards:05d}.gz"
    return os.path.join(folder, f"Split-{split}", name)


def _partial(path: str) -> str:
    """The name of a shard while it is written; `file_pattern` does not match it."""
    return os.path.join(os.path.dirname(path), "partial-" + os.path.basename(path))


def list_shards(folder: str, split: str) -> list[str]:
    """Returns the paths of the shards of a split, sorted."""
    from tensorflow.io import gfile

    return sorted(gfile.glob(file_pattern(folder, split)))


def read_records(path: str) -> Iterator[ImageRecord]:
    """Reads the images of a shard, in the same order every time."""
    return map(ImageRecord.from_example, _read_examples(path))


def copy(path: str, folder: str, split: str) -> None:
    """Copies a shard as it is into another Examples folder."""
    from tensorflow.io import gfile

    split_folder = os.path.join(folder, f"Split-{split}")
    gfile.makedirs(split_folder)
    gfile.copy(path, os.path.join(split_folder, os.path.basename(path)), overwrite=True)


def copy_without(
    path: str, left_out: Collection[int], folder: str, split: str, index: int, num_shards: int
) -> None:
    """Writes a shard without some of its images; the others keep their bytes and their order.

    Args:
        path: the shard.
        left_out: places of the images in the shard that go.
        folder: the Examples folder to write into.
        split: the split of the shard.
        index: the number of the shard that is written, below `num_shards`.
        num_shards: how many shards the split has.
    """
    numbered = enumerate(_read_examples(path))
    kept = (example for number, example in numbered if number not in left_out)
    write_shard(kept, folder, split, index, num_shards)


def _read_examples(path: str) -> Iterator[bytes]:
    import tensorflow as tf

    # In batches, since each step of the iterator takes longer than reading a small image.
    dataset = tf.data.TFRecordDataset(path, compression_type="GZIP").batch(_READ_AT_ONCE)
    for examples in dataset.as_numpy_iterator():
        yield from examples
