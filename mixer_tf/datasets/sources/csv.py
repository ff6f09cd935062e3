# SPDX-License-Identifier: Apache-2.0
"""A CSV file of images: path,label or path,label,split, with or without a header row."""

from __future__ import annotations

import functools
import operator
import os
import re

from mixer_tf import storage
from mixer_tf.datasets import files, splits
from mixer_tf.datasets.class_names import in_order, normalize, notes_of_unicode_forms
from mixer_tf.datasets.sources import csv_columns, csv_duplicates, csv_paths, csv_tables
from mixer_tf.datasets.sources.csv_duplicates import Row
from mixer_tf.datasets.sources.source import Source

KIND = "csv"
FORM = "csv:PATH"
HELP = "a file with the columns path,label[,split]"

_INTEGRAL = re.compile(r"([0-9]+(\.0*)?)?")
_LINE_BREAK = re.compile(r"[\r\n]")

_SEVERAL_LABELS = "listed with several labels"
_WEB = "an address of the web; download the image and list its file"


def open_source(spec: str, location: str, data_dir: str | None) -> Source:
    """Reads the list, not the images; a missing file becomes a record with a problem.

    Paths are relative to the folder of the CSV file. The header and the first rows decide which
    column is which, unless `spec` states it: "csv+COLUMNS:PATH", see `csv_columns.find_stated`. The
    order of the labels is that of `class_names.in_order`. Rows without a label are kept for the
    validation to report.

    Raises:
        ValueError: the file does not exist, or has no rows, no column of paths or of labels, or an
            unknown split; it is not a regular file of text, or leaves open what its columns are;
            none of the files that it lists exists.
    """
    path = os.path.expanduser(location)
    rows, notes = _read_rows(path, spec.partition(":")[0].partition("+")[2])
    merged = csv_duplicates.merge(rows)
    rows = merged.rows
    class_names = in_order(label for _, label, _ in rows if label)
    if not class_names:
        raise ValueError(f"csv: the file must list path,label; found no label in {path}.")
    labels = {name: index for index, name in enumerate(class_names)}
    items = [(split, file, (file, labels.get(label))) for file, label, split in rows]
    root = os.path.dirname(path)
    reader = files.FileReader(root, class_names)
    return Source(
        spec=spec,
        class_names=class_names,
        shards={
            split: _make_chunks(chosen, merged.conflicting)
            for split, chosen in splits.assign_splits(
                items, label_of=operator.itemgetter(1)
            ).items()
        },
        reader=reader,
        root=root,
        image_ids=reader.image_ids,
        file_signatures=lambda: map(
            files.file_signature, [path, *(storage.resolve(root, row[0]) for row in rows)]
        ),
        notes=(*notes, *merged.notes, *_notes(rows)),
    )


def _make_chunks(
    chosen: list[tuple[str, int | None]], conflicting: frozenset[str]
) -> list[files.FileChunk]:
    by_problem = {"": [], _SEVERAL_LABELS: [], _WEB: []}
    for file, label in chosen:
        web = _WEB if csv_paths.is_web_address(file) else ""
        by_problem[_SEVERAL_LABELS if file in conflicting else web].append((file, label))
    return [
        chunk
        for problem, found in by_problem.items()
        for chunk in files.make_chunks(found, problem)
    ]


def with_columns(spec: str, columns: str) -> str:
    """Returns the specification of a CSV file whose columns are stated: "csv+COLUMNS:PATH".

    Args:
        spec: "csv:PATH".
        columns: see `csv_columns.find_stated`.

    Raises:
        ValueError: it is another kind of source, or a name contains a colon.
    """
    kind, _, location = spec.partition(":")
    if kind != KIND:
        raise ValueError(f"--columns applies to {FORM} only; got the source {spec!r}.")
    if ":" in columns or not columns.strip():
        raise ValueError(
            f"--columns must be names or numbers without a colon; got {columns!r}. Use numbers, "
            "such as --columns=1,2."
        )
    return f"{KIND}+{columns}:{location}"


def _read_rows(path: str, stated: str) -> tuple[list[Row], tuple[str, ...]]:
    """(path, label, split or "") of each non-blank row, and notes on how they were read."""
    root = os.path.dirname(path)
    score = functools.partial(csv_paths.score, root)
    table = csv_tables.read(path, score)
    sample = [row for _, row in table.rows[1 : csv_tables.SAMPLE]]
    find = functools.partial(csv_columns.find_stated, stated) if stated else csv_columns.find
    columns = find(table.rows[0][1], sample, score)
    numbered = table.rows[1:] if columns.has_header else table.rows
    rows = [_parse_row(path, number, row, columns.indices) for number, row in numbered]
    paths, spellings = csv_paths.read_spellings(root, [row[0] for row in rows])
    csv_paths.require_files(path, root, paths)
    rows = [(file, *row[1:]) for file, row in zip(paths, rows, strict=True)]
    rows, integers = _with_integers(rows)
    labels = {label: normalize(label) for label in {label for _, label, _ in rows}}
    forms = notes_of_unicode_forms(labels)
    rows = [(file, labels[label], split) for file, label, split in rows]
    notes = () if table.delimiter == "commas" else (f"columns are separated by {table.delimiter}",)
    return rows, (*notes, *columns.notes, *spellings, *integers, *forms)


def _with_integers(rows: list[Row]) -> tuple[list[Row], tuple[str, ...]]:
    """Removes the decimals of labels such as 1.0, if all labels are integers."""
    count = sum("." in label for _, label, _ in rows)
    if not count or not all(_INTEGRAL.fullmatch(label) for _, label, _ in rows):
        return rows, ()
    rows = [(path, label.partition(".")[0], split) for path, label, split in rows]
    return rows, (f"labels such as 1.0 that are read as 1: {count:,}",)


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
            f"row {number} of {path} has {split!r}. If the column means something else, leave it "
            "out: --columns=1,2."
        )
    return cells["path"], cells["label"], splits.ALIASES[split.lower()] if split else ""


def _notes(rows: list[Row]) -> tuple[str, ...]:
    unlabeled = sum(not label for _, label, _ in rows)
    return (f"rows without a label: {unlabeled:,}",) if unlabeled else ()
