# SPDX-License-Identifier: Apache-2.0
"""Shards of Examples, read in order and written again without some of their images."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator

from mixer_tf.datasets import tfrecords
from mixer_tf.features import ImageRecord

_READ_AT_ONCE = 16


def list_shards(folder: str, split: str) -> list[str]:
    """Returns the paths of the shards of a split, sorted."""
    from tensorflow.io import gfile

    return sorted(gfile.glob(tfrecords.file_pattern(folder, split)))


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
    examples = enumerate(_read_examples(path))
    kept = (example for place, example in examples if place not in left_out)
    tfrecords.write_shard(kept, folder, split, index, num_shards)


def _read_examples(path: str) -> Iterator[bytes]:
    import tensorflow as tf

    # In batches, since each step of the iterator takes longer than reading a small image.
    dataset = tf.data.TFRecordDataset(path, compression_type="GZIP").batch(_READ_AT_ONCE)
    for examples in dataset.as_numpy_iterator():
        yield from examples
