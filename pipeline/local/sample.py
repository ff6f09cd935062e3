# SPDX-License-Identifier: Apache-2.0
"""One image of the test split as a file, so that the predict command of the summary runs."""

from __future__ import annotations

import os

import tensorflow as tf

from mixer_tf import storage
from mixer_tf.datasets import examples
from mixer_tf.features import TEST, ImageRecord


def write_sample(examples_uri: str | None, folder: str) -> str | None:
    """Writes the first test image, its encoded bytes unchanged, and returns its path.

    Args:
        examples_uri: the Examples that the Preprocessor wrote, or None.
        folder: the folder for `sample.png` (or another extension).

    Returns:
        The path, or None if there is no test image.
    """
    files = storage.find_files(examples.file_pattern(examples_uri, TEST)) if examples_uri else []
    for serialized in tf.data.TFRecordDataset(files, examples.compression(files)).take(1):
        record = ImageRecord.from_example(serialized.numpy())
        path = os.path.join(folder, f"sample.{record.format.lower()}")
        storage.write_bytes(path, record.encoded)
        return path
    return None
