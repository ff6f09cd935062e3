# SPDX-License-Identifier: Apache-2.0
"""A CSV file of images: path,label or path,label,split, with or without a header row."""

from __future__ import annotations

import csv
import io
import os

from mixer_tf.datasets import files, splits
from mixer_tf.datasets.class_names import in_order
from mixer_tf.datasets.sources.source import Source

KIND = "csv"
FORM = "csv:PATH"
HELP = "a file with the columns path,label"

# Accepted names in the header row; without a header row the columns have this order.
_COLUMNS = {
    "path": (
        *("path", "file", "filename", "file_name", "filepath", "file_path"),
        *("image", "image_path", "image_id", "id", "img"),
    ),
    "label": ("label", "class", "class_name", "category", "target"),
    "split": ("split", "set", "subset", "partition"),
}


def open_source(spec: str, location: str, data_dir: str | None) -> Source:
    """Reads the list, not the images; a missing file becomes a record with a problem.

    Paths are relative to the folder of the CSV file. The order of the labels is that of
    `class_names.in_order`. Rows without a label are kept for the validation to report.

    Raises:
        ValueError: the file does not exist, or has no rows, no column of paths or of labels, or an
            unknown split.
    """
    path = os.path.expanduser(location)
    rows = _read_rows(path)
    class_names = in_order(label for _, label, _ in rows if label)
    if not class_names:
        raise ValueError(f"csv: the file must list path,label; found no label in {path}.")
    labels = {name: index for index, name in enumerate(class_names)}
    items = [(split, file, (file, labels.get(label))) for file, label, split in rows]
    root = os.path.dirname(path)
    return Source(
        spec=spec,
        class_names=class_names,
        shards={
            split: files.make_chunks(chosen)
            for split, chosen in splits.assign_splits(items).items()
        },
        reader=files.FileReader(root, class_names),
        file_signatures=lambda: map(
            files.file_signature, [path, *(files.resolve(root, row[0]) for row in rows)]
        ),
        notes=_notes(rows),
    )


def _read_rows(path: str) -> list[tuple[str, str, str]]:
    """(path, label, split or "") of each non-blank row."""
    rows = [[cell.strip() for cell in row] for row in csv.reader(_open_text(path))]
    rows = [(number, row) for number, row in enumerate(rows, start=1) if any(row)]
    if not rows:
        raise ValueError(f"csv: the file must list path,label; {path} is empty.")
    columns = _find_columns(rows[0][1])
    if columns:
        rows = rows[1:]
    else:
        columns = dict(zip(_COLUMNS, range(len(rows[0][1])), strict=False))
    if "path" not in columns or "label" not in columns:
        raise ValueError(f"csv: the file must have the columns path,label; got {rows[0][1]}.")
    return [_parse_row(path, number, row, columns) for number, row in rows]


def _open_text(path: str) -> io.StringIO:
    if not os.path.isfile(path):
        raise ValueError(f"csv: must be followed by an existing file; got {path!r}.")
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            return io.StringIO(file.read(), newline="")
    except UnicodeDecodeError as error:
        raise ValueError(f"csv: the file must be UTF-8; {path} is not: {error}.") from None


def _find_columns(header: list[str]) -> dict[str, int]:
    """Column name → index, by the names of a header row; empty if the row is not a header."""
    found = {}
    for index, cell in enumerate(header):
        for column, names in _COLUMNS.items():
            if cell.lower() in names:
                found.setdefault(column, index)
    if {"path", "label"} <= set(found):
        return found
    if found and not any(map(files.is_image_name, header)):
        known = "; ".join(f"{column}: {', '.join(names)}" for column, names in _COLUMNS.items())
        raise ValueError(
            f"csv: a header must name the columns of path and label; got {header}. "
            f"Known names are {known}."
        )
    return {}


def _parse_row(
    path: str, number: int, row: list[str], columns: dict[str, int]
) -> tuple[str, str, str]:
    cells = {name: row[index] if index < len(row) else "" for name, index in columns.items()}
    if not cells["path"]:
        raise ValueError(f"csv: each row must name a file; row {number} of {path} does not.")
    split = cells.get("split", "")
    if split and split.lower() not in splits.ALIASES:
        raise ValueError(
            f"csv: a split must be one of {', '.join(splits.ALIASES)}; "
            f"row {number} of {path} has {split!r}."
        )
    return cells["path"], cells["label"], splits.ALIASES[split.lower()] if split else ""


def _notes(rows: list[tuple[str, str, str]]) -> tuple[str, ...]:
    unlabeled = sum(not label for _, label, _ in rows)
    return (f"rows without a label: {unlabeled:,}",) if unlabeled else ()
