# SPDX-License-Identifier: Apache-2.0
"""Split: the TFRecord shards of one split, and how they are read."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from mixer_tf import features

# Nothing here needs autograph, whose conversion takes seconds at every start.
_AS_WRITTEN = tf.autograph.experimental.do_not_convert


@dataclasses.dataclass(frozen=True)
class Split:
    """The shards of one split.

    Attributes:
        files: gzip TFRecord files of `features.ImageRecord` examples.
        num_examples: how many they hold together.
        num_classes: labels lie in [0, num_classes).
    """

    files: tuple[str, ...]
    num_examples: int
    num_classes: int

    @property
    def num_bytes(self) -> int:
        return sum(tf.io.gfile.stat(file).length for file in self.files)


@_AS_WRITTEN
def count_records(files: Sequence[str]) -> int:
    """Returns how many records gzip TFRecord files hold; reads them whole, decodes nothing."""
    if not files:
        return 0
    return int(read_records(tuple(files)).reduce(np.int64(0), lambda count, _: count + 1))


def read_records(files: tuple[str, ...], seed: tf.Tensor | None = None) -> tf.data.Dataset:
    """Serialized examples; with a seed, the files are mixed with each other."""
    names = tf.data.Dataset.from_tensor_slices(list(files))
    if seed is None:
        return tf.data.TFRecordDataset(names, compression_type="GZIP")
    names = names.shuffle(len(files), seed=seed, reshuffle_each_iteration=False)
    return names.interleave(
        lambda name: tf.data.TFRecordDataset(name, compression_type="GZIP"),
        cycle_length=min(len(files), 16),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )


def parse_examples(records: tf.data.Dataset, num_classes: int) -> tf.data.Dataset:
    """(encoded bytes, label) of serialized examples."""

    def parse(serialized):
        example = tf.io.parse_single_example(
            serialized,
            {
                features.ENCODED: tf.io.FixedLenFeature([], tf.string),
                features.LABEL: tf.io.FixedLenFeature([], tf.int64),
            },
        )
        label = example[features.LABEL]
        check = tf.debugging.assert_less(
            label,
            tf.constant(num_classes, tf.int64),
            f"labels must be less than the number of class names, {num_classes}",
        )
        with tf.control_dependencies([check]):
            return example[features.ENCODED], tf.identity(label)

    return records.map(parse, tf.data.AUTOTUNE)
