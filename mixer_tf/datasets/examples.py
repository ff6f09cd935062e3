# SPDX-License-Identifier: Apache-2.0
"""TFRecord shards in the layout of TFX's Examples, written, read and copied without TFX.

Shards are not compressed: GZIP takes about as long as decoding a photograph, and saves 1 % of it.
Shards whose name ends with ".gz", as earlier versions wrote them, are read as well.
"""

from __future__ import annotations

import contextlib
import glob
import itertools
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from mixer_tf import storage
from mixer_tf.features import ImageRecord, mark_example

_READ_BATCH = 16


def file_pattern(folder: str, split: str) -> str:
    """Returns the glob pattern of the shards of a split in an Examples folder."""
    return os.path.join(glob.escape(split_folder(folder, split)), "data_tfrecord-*")


def list_shards(folder: str, split: str) -> list[str]:
    """Returns the sorted paths of the shards of a split."""
    return storage.find_files(file_pattern(folder, split))


def compression(paths: Sequence[str]) -> str:
    """Returns how the shards of one split are compressed: "" or "GZIP".

    Raises:
        ValueError: some of them are and others are not, so that two steps have written there.
    """
    found = {"GZIP" if path.endswith(".gz") else "" for path in paths}
    if len(found) > 1:
        raise ValueError(
            "the shards of a split must be all compressed or all not; "
            f"{os.path.dirname(paths[0])} has both. Delete the folder and prepare the data again."
        )
    return found.pop() if found else ""


def read_records(path: str) -> Iterator[ImageRecord]:
    """Reads the images of a shard, in the same order every time."""
    return map(ImageRecord.from_example, read_examples(path))


def write(records: Iterable[ImageRecord], folder: str, split: str, num_shards: int) -> int:
    """Writes records to the shards of a split in round-robin order, and returns their number.

    The shards get their names when all are complete; an interrupted call leaves none.
    """
    storage.make_folder(split_folder(folder, split))
    count = 0
    with contextlib.ExitStack() as complete, contextlib.ExitStack() as open_writers:
        paths = [shard_path(folder, split, index, num_shards) for index in range(num_shards)]
        partial_paths = [complete.enter_context(storage.replacing(path)) for path in paths]
        writers = [open_writers.enter_context(open_writer(path)) for path in partial_paths]
        for record, writer in zip(records, itertools.cycle(writers), strict=False):
            writer.write(record.to_example())
            count += 1
    return count


def write_shard(
    examples: Iterable[bytes], folder: str, split: str, index: int, num_shards: int
) -> None:
    """Writes serialized tf.Examples as one shard of a split, completely or not at all.

    Several processes may write the same shard at the same time: an engine gives the work of a
    worker that it has lost to another one, and the first may still write.
    """
    storage.make_folder(split_folder(folder, split))
    path = shard_path(folder, split, index, num_shards)
    with (
        storage.replacing(path, concurrent=True) as partial,
        open_writer(partial) as writer,
    ):
        for example in examples:
            writer.write(example)


def copy_shard(path: str, folder: str, split: str) -> None:
    """Copies a shard unchanged into another Examples folder."""
    target = split_folder(folder, split)
    storage.make_folder(target)
    storage.copy_file(path, os.path.join(target, os.path.basename(path)))


def copy_shard_without(
    path: str, removed: Collection[int], folder: str, split: str, index: int, num_shards: int
) -> None:
    """Copies a shard without some of its images; the others keep their bytes and their order.

    Args:
        path: the shard to read.
        removed: indices within the shard of the images to leave out.
        folder: the Examples folder to write to.
        split: the split of the shard.
        index: the index of the shard that is written, below `num_shards`.
        num_shards: the number of shards of the split.
    """
    numbered = enumerate(read_examples(path))
    kept = (example for number, example in numbered if number not in removed)
    write_shard(kept, folder, split, index, num_shards)


def copy_shard_marked(
    path: str, marks: Mapping[int, str], folder: str, split: str, index: int, num_shards: int
) -> None:
    """Copies a shard, and writes into each image which training image it is a duplicate of.

    Args:
        path: the shard to read.
        marks: index within the shard → path or id of the training image; "" for all others.
        folder, split, index, num_shards: see `copy_shard_without`.
    """
    numbered = enumerate(read_examples(path))
    marked = (mark_example(example, marks.get(number, "")) for number, example in numbered)
    write_shard(marked, folder, split, index, num_shards)


def split_folder(folder: str, split: str) -> str:
    """Returns the folder of the shards of a split."""
    return os.path.join(folder, f"Split-{split}")


def shard_path(folder: str, split: str, index: int, num_shards: int) -> str:
    """Returns the path of one shard, which is not compressed."""
    name = f"data_tfrecord-{index:05d}-of-{num_shards:05d}"
    return os.path.join(split_folder(folder, split), name)


def open_writer(path: str):
    """Returns a `tf.io.TFRecordWriter`."""
    import tensorflow as tf

    return tf.io.TFRecordWriter(path)


def read_examples(path: str) -> Iterator[bytes]:
    """Reads the serialized tf.Examples of a shard."""
    import tensorflow as tf

    # In batches, because each step of the iterator takes longer than reading a small image.
    dataset = tf.data.TFRecordDataset(path, compression([path])).batch(_READ_BATCH)
    for examples in dataset.as_numpy_iterator():
        yield from examples
