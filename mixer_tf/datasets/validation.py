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
    return examine_record(record)[0]


def examine_record(record: ImageRecord) -> tuple[ImageRecord, tuple[str, ...]]:
    """Returns the same as `check_record`, and what is odd about the image; see `images.examine`.

    Raises:
        images.UnusableImageError: as `check_record`.
    """
    if record.problem:
        raise images.UnusableImageError(record.problem)
    if record.label is None:
        raise images.UnusableImageError("no label")
    checked = images.examine(record.encoded)
    if checked.encoded == record.encoded:
        return record, checked.remarks
    return replace_image(record, checked.encoded), checked.remarks


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
