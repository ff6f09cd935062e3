# SPDX-License-Identifier: Apache-2.0
"""Validates images before training; unusable ones are listed in `quarantine.jsonl`."""

from __future__ import annotations

import dataclasses
import json

from mixer_tf import images
from mixer_tf.features import ImageRecord
from mixer_tf.messages import printable, without_credentials

FILE_NAME = "quarantine.jsonl"


def check_record(record: ImageRecord) -> ImageRecord:
    """Returns the record with bytes that the model's decoder has read once.

    Raises:
        images.UnusableImageError: the image cannot be used; the message is the reason.
    """
    if record.problem:
        raise images.UnusableImageError(record.problem)
    if record.label is None:
        raise images.UnusableImageError("no label")
    encoded = images.check(record.encoded)
    return record if encoded == record.encoded else replace_image(record, encoded)


def replace_image(record: ImageRecord, encoded: bytes) -> ImageRecord:
    """Returns the record with another encoded image and the format and size of that image."""
    header = images.read_header(encoded)
    return dataclasses.replace(
        record,
        encoded=encoded,
        format=header.format,
        width=header.width,
        height=header.height,
    )


def to_line(record: ImageRecord, split: str, reason: str) -> str:
    """Returns one line of `quarantine.jsonl`, without a line break."""
    line = {
        "source": printable(record.source),
        "split": split,
        "class_name": record.class_name,
        "reason": without_credentials(reason),
    }
    return json.dumps(line, ensure_ascii=False)
