# SPDX-License-Identifier: Apache-2.0
"""Which images can be used, and the list of those that cannot: `quarantine.jsonl`."""

from __future__ import annotations

import dataclasses
import json

from mixer_tf import images
from mixer_tf.features import ImageRecord
from mixer_tf.messages import printable

FILE_NAME = "quarantine.jsonl"


def check_record(record: ImageRecord) -> ImageRecord:
    """Returns the record with bytes that the model's decoder reads; one decode as a trial.

    Raises:
        images.UnusableImageError: with the reason in a few words.
    """
    if record.problem:
        raise images.UnusableImageError(record.problem)
    if record.label is None:
        raise images.UnusableImageError("no label")
    encoded = images.check(record.encoded)
    if encoded == record.encoded:
        return record
    header = images.read_header(encoded)
    return dataclasses.replace(
        record,
        encoded=encoded,
        format=header.format,
        width=header.width,
        height=header.height,
    )


def to_line(record: ImageRecord, split: str, reason: str) -> str:
    """One line of `quarantine.jsonl`, without line end."""
    line = {
        "source": printable(record.source),
        "split": split,
        "class_name": record.class_name,
        "reason": reason,
    }
    return json.dumps(line, ensure_ascii=False)
