# SPDX-License-Identifier: Apache-2.0
"""Reads examples of prepared TFDS datasets as encoded bytes, whatever their file format is."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
from collections.abc import Iterator

from mixer_tf import storage
from mixer_tf.datasets.sources import tfrecord_files
from mixer_tf.datasets.sources.tfds_features import Keys
from mixer_tf.messages import without_credentials

INFO = "dataset_info.json"
ARRAY_RECORD = "array_record"
# File format → the module that reads it; TensorFlow itself reads TFRecord.
_FORMATS = {"tfrecord": "", "parquet": "pyarrow", ARRAY_RECORD: "array_record"}


class UnreadableError(ValueError):
    """The rest of a split cannot be read; the message is the reason."""


@functools.lru_cache(maxsize=8)
def open_builder(folder: str):
    """Opens a prepared dataset.

    Raises:
        ValueError: the folder is not complete, or the file format cannot be read.
    """
    import tensorflow_datasets as tfds

    file_format = _file_format(folder)
    if not _is_readable(file_format):
        raise ValueError(
            f"tfds: the file format must be one of {', '.join(filter(_is_readable, _FORMATS))}; "
            f"{folder} has {file_format!r}. Prepare the dataset again in another data_dir, with "
            'download_and_prepare(file_format="tfrecord").'
        )
    try:
        builder = tfds.builder_from_directory(folder)
        if builder.info.features is None:
            raise ValueError("features.json is missing")
    except Exception as error:  # TFDS raises exceptions of many kinds.
        reason = without_credentials(str(error).strip().partition("\n")[0])
        raise ValueError(
            f"tfds: a prepared dataset must be complete; {folder} is not: {reason}. "
            "Delete the folder and prepare the dataset again."
        ) from error
    return builder


def read(builder, split: str, keys: Keys) -> Iterator[tuple[bytes, int, str]]:
    """Yields the encoded image, the label, and the path of each example; "" without a path.

    Args:
        builder: see `open_builder`.
        split: what to read, as TFDS writes it: "train[0shard]".
        keys: names of the features.

    Raises:
        UnreadableError: the rest cannot be read.
    """
    file_format = builder.info.file_format
    is_array_record = file_format is not None and file_format.value == ARRAY_RECORD
    read_format = _read_array_record if is_array_record else _read_dataset
    try:
        yield from read_format(builder, split, keys)
    except Exception as error:  # The libraries raise exceptions of many kinds.
        reason = tfrecord_files.reason_of(getattr(error, "message", str(error)))
        raise UnreadableError(without_credentials(reason)) from error


def _read_dataset(builder, split: str, keys: Keys) -> Iterator[tuple[bytes, int, str]]:
    import tensorflow_datasets as tfds

    wanted = {key: True for key in (keys.image, keys.label, keys.path) if key}
    decoders = tfds.decode.PartialDecoding(
        wanted, decoders={keys.image: tfds.decode.SkipDecoding()}
    )
    config = tfds.ReadConfig(try_autocache=False, interleave_cycle_length=1)
    dataset = builder.as_dataset(split=split, decoders=decoders, read_config=config)
    for example in dataset.as_numpy_iterator():
        path = example[keys.path] if keys.path else b""
        yield example[keys.image], int(example[keys.label]), _to_path(path)


def _read_array_record(builder, split: str, keys: Keys) -> Iterator[tuple[bytes, int, str]]:
    import tensorflow_datasets as tfds

    no_decode = tfds.decode.DeserializeMethod.DESERIALIZE_NO_DECODE
    for example in builder.as_data_source(split=split, deserialize_method=no_decode):
        found = example.features.feature
        path = found[keys.path].bytes_list.value[0] if keys.path else b""
        image, label = found[keys.image].bytes_list.value[0], found[keys.label].int64_list.value[0]
        yield image, label, _to_path(path)


def _to_path(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


def _file_format(folder: str) -> str:
    path = os.path.join(folder, INFO)
    try:
        found = json.loads(storage.read_text(path))
        return found.get("fileFormat") or "tfrecord"
    except (ValueError, AttributeError) as error:
        raise ValueError(
            f"tfds: {INFO} of a prepared dataset must be JSON; {path} is not: {error}. "
            "Delete the folder and prepare the dataset again."
        ) from None


def _is_readable(file_format: str) -> bool:
    module = _FORMATS.get(file_format)
    return module == "" or (module is not None and importlib.util.find_spec(module) is not None)
