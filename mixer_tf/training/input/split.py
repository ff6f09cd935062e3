# SPDX-License-Identifier: Apache-2.0
"""Split: the TFRecord shards of one split of a dataset, and how they are opened and read."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from mixer_tf import features, storage
from mixer_tf.datasets import examples
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.training.autograph import without_autograph

_FILES_READ_AT_ONCE = 16


@dataclasses.dataclass(frozen=True)
class Split:
    """The shards of one split.

    Attributes:
        files: paths of TFRecord files of `features.ImageRecord` examples.
        num_examples: total number of examples in these files.
        num_classes: number of classes; labels are in [0, num_classes).
        class_names: one name per label, for plots; empty where they are not known.
        class_counts: number of examples of each class, in label order; None if unknown.
    """

    files: tuple[str, ...]
    num_examples: int
    num_classes: int
    class_names: tuple[str, ...] = ()
    class_counts: tuple[int, ...] | None = None

    @property
    def num_bytes(self) -> int:
        """Total size of the files."""
        return sum(storage.file_size(file) for file in self.files)


def open_splits(folder: str, info: DatasetInfo) -> dict[str, Split]:
    """Opens the splits of a dataset folder, such as `source_writing.write_source` writes.

    Args:
        folder: any file system that TensorFlow knows.
        info: the folder's `dataset.json`.

    Returns:
        Name of the split -> split, for the splits with at least one example.

    Raises:
        ValueError: the dataset cannot be trained on.
    """
    patterns = {
        name: examples.file_pattern(folder, name) for name, count in info.examples.items() if count
    }
    return open_files({name: storage.find_files(p) for name, p in patterns.items()}, info)


def open_files(files: Mapping[str, Sequence[str]], info: DatasetInfo) -> dict[str, Split]:
    """Opens splits whose shards are already known.

    The number of training images is taken from `info`. The other splits are counted: evaluation
    needs the exact number.

    Args:
        files: name of the split -> paths of its shards; "train" is required.
        info: the dataset that the shards belong to.

    Returns:
        Name of the split -> split, for the splits with at least one example.

    Raises:
        ValueError: the dataset cannot be trained on.
    """
    _check_trainable(files.get(features.TRAIN, ()), info)
    splits = {
        name: Split(
            tuple(sorted(paths)),
            _count(name, paths, info),
            info.num_classes,
            class_names=info.class_names,
            class_counts=_class_counts(name, info),
        )
        for name, paths in files.items()
    }
    return {name: split for name, split in splits.items() if split.num_examples}


def _class_counts(name: str, info: DatasetInfo) -> tuple[int, ...] | None:
    counts = info.counts.get(name)
    return None if counts is None else tuple(counts.get(each, 0) for each in info.class_names)


def _count(name: str, files: Sequence[str], info: DatasetInfo) -> int:
    return info.examples[name] if name == features.TRAIN else count_records(files)


def _check_trainable(files: Sequence[str], info: DatasetInfo) -> None:
    if not info.num_classes:
        raise ValueError(
            f"training requires class names; {info.source} has none. Use images with labels."
        )
    if not files or not info.examples.get(features.TRAIN):
        raise ValueError(
            f"training requires at least one image in the split {features.TRAIN!r}; got "
            f"{info.examples or 'no split'} from {info.source}. quarantine.jsonl lists "
            "unusable images with the reason."
        )


@without_autograph
def count_records(files: Sequence[str]) -> int:
    """Returns the number of records in TFRecord files; reads all of them, decodes nothing."""
    if not files:
        return 0
    return int(read_records(tuple(files)).reduce(np.int64(0), lambda count, _: count + 1))


def read_records(files: tuple[str, ...], seed: tf.Tensor | None = None) -> tf.data.Dataset:
    """Returns the serialized examples; with a seed, the records of the files are interleaved."""
    names, compression = (
        tf.data.Dataset.from_tensor_slices(list(files)),
        examples.compression(files),
    )
    if seed is None:
        return tf.data.TFRecordDataset(names, compression)
    names = names.shuffle(len(files), seed=seed, reshuffle_each_iteration=False)
    return names.interleave(
        lambda name: tf.data.TFRecordDataset(name, compression),
        cycle_length=min(len(files), _FILES_READ_AT_ONCE),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )


def parse_examples(records: tf.data.Dataset, num_classes: int) -> tf.data.Dataset:
    """Returns (encoded bytes, label) of serialized examples; a label out of range is an error."""

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
