# SPDX-License-Identifier: Apache-2.0
"""Validates images before training; unusable ones are listed in `quarantine.jsonl`."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence

from mixer_tf import images
from mixer_tf.features import ImageRecord
from mixer_tf.messages import printable, without_credentials

FILE_NAME = "quarantine.jsonl"
# Records that are examined at once.
_BATCH_SIZE = 64
Examined = tuple[ImageRecord, tuple[str, ...]]


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
    if reason := _why_unusable(record, labeled=True):
        raise images.UnusableImageError(reason)
    return _with_remarks(record, images.examine(record.encoded))


def examine_records(
    records: Iterable[ImageRecord], labeled: bool = True
) -> Iterator[tuple[ImageRecord, Examined | images.UnusableImageError]]:
    """Yields each record with what `examine_record` returns, or the error that it raises.

    Records are read ahead, because many images at once take less time: see `images.examine_all`.

    Args:
        records: the records.
        labeled: whether a record without a label is an error.
    """
    records = iter(records)
    while batch := list(itertools.islice(records, _BATCH_SIZE)):
        yield from zip(batch, _examine_batch(batch, labeled), strict=True)


def usable_records(
    records: Iterable[ImageRecord],
    add_unusable: Callable[[ImageRecord, images.UnusableImageError], None],
) -> Iterator[ImageRecord]:
    """Yields what `check_record` returns; hands each record over for which it raises an error.

    Args:
        records: see `examine_records`.
        add_unusable: called with the record and the error.
    """
    for record, examined in examine_records(records):
        if isinstance(examined, images.UnusableImageError):
            add_unusable(record, examined)
        else:
            yield examined[0]


def _examine_batch(
    records: Sequence[ImageRecord], labeled: bool
) -> Iterator[Examined | images.UnusableImageError]:
    reasons = [_why_unusable(record, labeled) for record in records]
    encoded = [
        record.encoded for record, reason in zip(records, reasons, strict=True) if not reason
    ]
    checked = iter(images.examine_all(encoded))
    for record, reason in zip(records, reasons, strict=True):
        found = images.UnusableImageError(reason) if reason else next(checked)
        is_error = isinstance(found, images.UnusableImageError)
        yield found if is_error else _with_remarks(record, found)


def _why_unusable(record: ImageRecord, labeled: bool) -> str | None:
    """What is known before the image is decoded."""
    return record.problem or ("no label" if labeled and record.label is None else None)


def _with_remarks(record: ImageRecord, checked) -> Examined:
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
