# SPDX-License-Identifier: Apache-2.0
"""A CSV file of images: path,label or path,label,split, with or without a header row."""

from __future__ import annotations

import functools
import glob
import os
import re
from collections.abc import Iterable

from mixer_tf import storage
from mixer_tf.datasets import files, splits
from mixer_tf.datasets.class_names import in_order
from mixer_tf.datasets.sources import csv_columns, csv_tables
from mixer_tf.datasets.sources.source import Source

KIND = "csv"
FORM = "csv:PATH"
HELP = "a file with the columns path,label"

_INTEGRAL = re.compile(r"([0-9]+(\.0*)?)?")
_LINE_BREAK = re.compile(r"[\r\n]")

Row = tuple[str, str, str]


def open_source(spec: str, location: str, data_dir: str | None) -> Source:
    """Reads the list, not the images; a missing file becomes a record with a problem.

    Paths are relative to the folder of the CSV file. The header and the first rows decide which
    column is which. The order of the labels is that of `class_names.in_order`. Rows without a
    label are kept for the validation to report.

    Raises:
        ValueError: the file does not exist, or has no rows, no column of paths or of labels, or an
            unknown split; it is not a regular file of text, or leaves open what its columns are.
    """
    path = os.path.expanduser(location)
    rows, notes = _read_rows(path)
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
            files.file_signature, [path, *(storage.resolve(root, row[0]) for row in rows)]
        ),
        notes=(*notes, *_notes(rows)),
    )


def _read_rows(path: str) -> tuple[list[Row], tuple[str, ...]]:
    """(path, label, split or "") of each non-blank row, and notes on how they were read."""
    root = os.path.dirname(path)
    score = functools.partial(_path_score, root)
    table = csv_tables.read(path, score)
    sample = [row for _, row in table.rows[1 : csv_tables.SAMPLE]]
    columns = csv_columns.find(table.rows[0][1], sample, score)
    numbered = table.rows[1:] if columns.has_header else table.rows
    rows = [_parse_row(path, number, row, columns.indices) for number, row in numbered]
    rows, slashes = _with_slashes(root, rows)
    rows, integers = _with_integers(rows)
    _require_suffixes(path, root, [row[0] for row in rows[: csv_tables.SAMPLE]])
    notes = () if table.delimiter == "commas" else (f"columns are separated by {table.delimiter}",)
    return rows, (*notes, *columns.notes, *slashes, *integers)


def _path_score(root: str, cell: str) -> int:
    """How much a cell looks like the path of an image: 2 if the file exists, 0 if not at all."""
    if not cell:
        return 0
    if not storage.is_remote(cell) and os.path.isfile(storage.resolve(root, cell)):
        return 2
    return int(storage.is_remote(cell) or files.is_image_name(cell))


def _with_slashes(root: str, rows: list[Row]) -> tuple[list[Row], tuple[str, ...]]:
    """Replaces the backslashes of paths as written on Windows."""
    chosen = [i for i, row in enumerate(rows) if "\\" in row[0] and _is_windows(root, row[0])]
    for index in chosen:
        path, *others = rows[index]
        rows[index] = (path.replace("\\", "/"), *others)
    note = f"paths whose backslashes are read as slashes: {len(chosen):,}"
    return rows, (note,) if chosen else ()


def _with_integers(rows: list[Row]) -> tuple[list[Row], tuple[str, ...]]:
    """Removes the decimals of labels such as 1.0, if all labels are integers."""
    count = sum("." in label for _, label, _ in rows)
    if not count or not all(_INTEGRAL.fullmatch(label) for _, label, _ in rows):
        return rows, ()
    rows = [(path, label.partition(".")[0], split) for path, label, split in rows]
    return rows, (f"labels such as 1.0 that are read as 1: {count:,}",)


def _is_windows(root: str, path: str) -> bool:
    """Whether the backslashes of a path separate folders, and are not part of a name."""
    return not (storage.is_remote(path) or os.path.exists(storage.resolve(root, path)))


def _require_suffixes(csv_path: str, root: str, paths: Iterable[str]) -> None:
    """Raises if none of the first files exists, and with a suffix one does."""
    local = [storage.resolve(root, path) for path in paths if not storage.is_remote(path)]
    if any(map(os.path.exists, local)):
        return
    for path in local:
        found = [name for name in glob.glob(glob.escape(path) + ".*") if files.is_image_name(name)]
        if found:
            raise ValueError(
                f"csv: a path must include the suffix of the file; {csv_path} lists "
                f"{os.path.basename(path)!r}, and the file is {os.path.basename(found[0])!r}. "
                "Add the suffix to all paths."
            )


def _parse_row(path: str, number: int, row: list[str], columns: dict[str, int]) -> Row:
    cells = {name: row[index] if index < len(row) else "" for name, index in columns.items()}
    if not cells["path"]:
        raise ValueError(f"csv: each row must name a file; row {number} of {path} does not.")
    if _LINE_BREAK.search("".join(cells.values())):
        raise ValueError(
            f"csv: a path, a label and a split must be on one line; row {number} of {path} has a "
            "line break inside quotes. Is a double quote missing before it?"
        )
    split = cells.get("split", "")
    if split and split.lower() not in splits.ALIASES:
        raise ValueError(
            f"csv: a split must be one of {', '.join(splits.ALIASES)}; "
            f"row {number} of {path} has {split!r}."
        )
    return cells["path"], cells["label"], splits.ALIASES[split.lower()] if split else ""


def _notes(rows: list[Row]) -> tuple[str, ...]:
    unlabeled = sum(not label for _, label, _ in rows)
    return (f"rows without a label: {unlabeled:,}",) if unlabeled else ()
