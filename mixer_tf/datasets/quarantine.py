# SPDX-License-Identifier: Apache-2.0
"""What a user should know of unusable and odd images: an error, or notes with counts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from mixer_tf import storage
from mixer_tf.features import TRAIN
from mixer_tf.messages import printable

_REASONS_SHOWN = 3


def require_training_images(
    spec: str, usable: Mapping[str, int], quarantine_file: str, *, is_kept: bool
) -> None:
    """Raises an error that says why nothing is left to train on.

    Args:
        spec: the specification of the source.
        usable: split → number of usable images.
        quarantine_file: path of `quarantine.jsonl`.
        is_kept: whether the file outlives the error; TFX removes what a failed step has written.

    Raises:
        ValueError: no training image is usable.
    """
    if usable.get(TRAIN):
        return
    lines = storage.read_text(quarantine_file).split("\n")
    rejected = [record for record in map(json.loads, filter(None, lines))]
    in_train = [record for record in rejected if record["split"] == TRAIN]
    if not in_train:
        found = ", ".join(f"{count:,} {split}" for split, count in usable.items() if count)
        raise ValueError(
            f"a training requires a train split with images; {spec} has "
            f"{found or 'none'}. Add one; a source without any split is divided by itself."
        )
    where = f" All are listed in {quarantine_file}." if is_kept else ""
    raise ValueError(
        f"at least one training image of {spec} must be usable; none of {len(in_train):,} is: "
        f"{_commonest_reasons(in_train)}.{where}"
    )


def notes_of_remarks(remarks: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Returns one note for each remark, such as "images damaged but readable: 3 (such as a.jpg)".

    Args:
        remarks: (remark, source of the image) pairs; see `validation.examine_record`.
    """
    return notes_of_counts({remark: (1, source)} for remark, source in remarks)


def notes_of_counts(parts: Iterable[Mapping[str, tuple[int, str]]]) -> tuple[str, ...]:
    """Returns the same notes from remark → (number of images, their first source) of each part."""
    total: dict[str, tuple[int, str]] = {}
    for part in parts:
        for remark, (number, source) in part.items():
            before, first = total.get(remark, (0, source))
            total[remark] = before + number, min(first, source, key=printable)
    return tuple(
        f"images {remark}: {number:,} (such as {printable(source)})"
        for remark, (number, source) in sorted(total.items())
    )


def _commonest_reasons(rejected: list[dict]) -> str:
    """Such as "9 × not an image, such as a.jpg; 1 × no label, such as b.jpg"."""
    by_reason: dict[str, list[str]] = {}
    for record in rejected:
        by_reason.setdefault(record["reason"], []).append(record["source"])
    reasons = sorted(by_reason, key=lambda reason: -len(by_reason[reason]))
    shown = [
        f"{len(by_reason[reason]):,} × {reason}, such as {by_reason[reason][0]}"
        for reason in reasons[:_REASONS_SHOWN]
    ]
    more = len(reasons) - len(shown)
    return "; ".join([*shown, *([f"and {more:,} other reasons"] if more > 0 else [])])
