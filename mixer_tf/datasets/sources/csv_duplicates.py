# SPDX-License-Identifier: Apache-2.0
"""Files that a CSV lists more than once: one row of each is kept. No TensorFlow is imported."""

from __future__ import annotations

import collections
import dataclasses
import os
from collections.abc import Iterable

from mixer_tf import storage
from mixer_tf.features import EVAL, TEST, TRAIN

Row = tuple[str, str, str]

# A file in several splits stays in the first of these, so that no model is tested on its training
# images.
_PREFERRED = (TEST, EVAL, TRAIN, "")
_MAX_LABELS = 3


@dataclasses.dataclass(frozen=True)
class Merged:
    """The rows without those that list a file again.

    Attributes:
        rows: (path, label, split or ""), in the order of the file.
        conflicting: the paths, as in `rows`, that have several labels.
        notes: one line for each kind of repetition.
    """

    rows: list[Row]
    conflicting: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


def merge(rows: list[Row]) -> Merged:
    """Keeps one row for each file.

    Of equal rows the first is kept, and of several splits test or else eval. A file with several
    labels is kept for the validation to report.

    Raises:
        ValueError: most files have several labels.
    """
    keys = [_key(path) for path, _, _ in rows]
    if len(set(keys)) == len(rows):
        return Merged(rows)
    groups = _repeated(keys, rows)
    conflicts = {key: labels for key, found in groups.items() if len(labels := _labels(found)) > 1}
    _require_few(conflicts, len(set(keys)))
    chosen = {key: _choose(found) for key, found in groups.items()}
    once = dict(zip(keys, rows, strict=True)) | chosen
    paths = frozenset(chosen[key][0] for key in conflicts)
    return Merged(list(once.values()), paths, _notes(groups, conflicts))


def _repeated(keys: list[str], rows: list[Row]) -> dict[str, list[Row]]:
    """The rows of each file that has several."""
    counts = collections.Counter(keys)
    groups: dict[str, list[Row]] = {key: [] for key, count in counts.items() if count > 1}
    for key, row in zip(keys, rows, strict=True):
        if key in groups:
            groups[key].append(row)
    return groups


def _require_few(conflicts: dict[str, list[str]], num_files: int) -> None:
    if 2 * len(conflicts) > num_files:
        raise ValueError(
            f"csv: each image must have one label; of {num_files:,} files, {len(conflicts):,} "
            f"have several, such as {_example(conflicts)}. List each file once, with one label."
        )


def _key(path: str) -> str:
    is_plain = not path.startswith(".") and "//" not in path and "/." not in path
    return path if is_plain or storage.is_remote(path) else os.path.normpath(path)


def _labels(rows: Iterable[Row]) -> list[str]:
    """The distinct labels, in the order of the rows; a missing label is none."""
    return list(dict.fromkeys(label for _, label, _ in rows if label))


def _choose(rows: list[Row]) -> Row:
    split = min((row[2] for row in rows), key=_PREFERRED.index)
    label = next(iter(_labels(rows)), "")
    return rows[0][0], label, split


def _notes(groups: dict[str, list[Row]], conflicts: dict[str, list[str]]) -> tuple[str, ...]:
    splits = {
        key: sorted({split or TRAIN for _, _, split in found}, key=_PREFERRED.index)
        for key, found in groups.items()
    }
    splits = {key: found for key, found in splits.items() if len(found) > 1}
    notes = []
    if conflicts:
        notes.append(
            f"files with several labels are not used: {len(conflicts):,}, such as "
            f"{_example(conflicts)}"
        )
    if splits:
        key, found = next(iter(splits.items()))
        notes.append(
            f"files in several splits are used in one, test or else eval: {len(splits):,}, such "
            f"as {key!r} in {' and '.join(found)}"
        )
    others = [key for key in groups if key not in conflicts and key not in splits]
    if others:
        number = sum(len(groups[key]) - 1 for key in others)
        notes.append(f"rows that list a file again are ignored: {number:,}, such as {others[0]!r}")
    return tuple(notes)


def _example(conflicts: dict[str, list[str]]) -> str:
    path, labels = next(iter(conflicts.items()))
    shown = ", ".join(map(repr, labels[:_MAX_LABELS]))
    return f"{path!r}: {shown}{', …' if len(labels) > _MAX_LABELS else ''}"
