# SPDX-License-Identifier: Apache-2.0
"""One image of the test split as a file: the summary's predict command can be pasted as it is."""

from __future__ import annotations

import os

import tensorflow as tf

from mixer_tf.datasets import examples
from mixer_tf.features import TEST, ImageRecord


def write_sample(examples_uri: str | None, folder: str) -> str | None:
    """Writes the first test image, encoded as it is, and returns its path.

    Args:
        examples_uri: the Examples that the Preprocessor wrote; None where there are none.
        folder: where `sample.png` (or another extension) is written.

    Returns:
        The path; None where there is no test image.
    """
    files = tf.io.gfile.glob(examples.file_pattern(examples_uri, TEST)) if examples_uri else []
    for serialized in tf.data.TFRecordDataset(sorted(files), "GZIP").take(1):
        record = ImageRecord.from_example(serialized.numpy())
        path = os.path.join(folder, f"sample.{record.format.lower()}")
        with open(path + ".partial", "wb") as file:
            file.write(record.encoded)
        os.replace(path + ".partial", path)
        return path
    return None
