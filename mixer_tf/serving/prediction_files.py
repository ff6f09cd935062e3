# SPDX-License-Identifier: Apache-2.0
"""Predictions as a table, CSV or Parquet, one row for each image. No TensorFlow.

Columns: `image`, `class_name` and `probability` of the most probable class, `class_name_2`,
`probability_2` and so on for the next ones, and `error`, why an image is unusable.
"""

from __future__ import annotations

import contextlib
import csv
import importlib.util
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence

from mixer_tf import storage
from mixer_tf.messages import spreadsheet_cell

CSV, PARQUET = ".csv", ".parquet"

_ROW_GROUP = 8192

_Row = list[str | float | None]
Add = Callable[[str, Sequence | str], None]


def require_writable(path: str) -> None:
    """Checks a path before any image is read.

    Raises:
        ValueError: its suffix is not one of the formats, its folder does not exist, it is a folder,
            or a package is missing.
    """
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in (CSV, PARQUET):
        raise ValueError(f"--output must end in {CSV} or {PARQUET}; got {path}.")
    storage.require_writable(path, "--output")
    if suffix == PARQUET and importlib.util.find_spec("pyarrow") is None:
        raise ValueError(
            f"{PARQUET} files need the package pyarrow, which is not installed; got {path}. Run "
            f"`pip install pyarrow`, or write a {CSV} file."
        )


@contextlib.contextmanager
def writing(path: str, top: int) -> Iterator[Add]:
    """Yields a function that adds the row of an image; the file appears when the block succeeds.

    The function takes the path of the image, and its predictions in descending order or the reason
    why there are none.

    Args:
        path: a path that `require_writable` accepts; an existing file is replaced.
        top: the number of classes for each image.
    """
    write = _write_parquet if path.lower().endswith(PARQUET) else _write_csv
    with (
        storage.replacing(path, concurrent=True) as partial,
        _local(partial) as file,
        write(file, _columns(top)) as add_row,
    ):
        yield lambda image, result: add_row(_row(image, result, top))


def _columns(top: int) -> list[str]:
    numbers = ["", *(f"_{number}" for number in range(2, top + 1))]
    pairs = [(f"class_name{number}", f"probability{number}") for number in numbers]
    return ["image", *(name for pair in pairs for name in pair), "error"]


def _row(image: str, result: Sequence | str, top: int) -> _Row:
    if isinstance(result, str):
        return [image, *[None] * (2 * top), result]
    cells = [cell for each in result[:top] for cell in (each.class_name, each.probability)]
    return [image, *cells, *[None] * (2 * top - len(cells)), None]


@contextlib.contextmanager
def _local(path: str) -> Iterator[str]:
    """Yields a path on this machine; the file is copied to a remote `path` afterwards."""
    if not storage.is_remote(path):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        local = os.path.join(folder, "predictions")
        yield local
        storage.gfile().copy(local, path, overwrite=True)


@contextlib.contextmanager
def _write_csv(path: str, columns: list[str]) -> Iterator[Callable[[_Row], None]]:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        yield lambda row: writer.writerow(map(spreadsheet_cell, row))


@contextlib.contextmanager
def _write_parquet(path: str, columns: list[str]) -> Iterator[Callable[[_Row], None]]:
    import pyarrow
    import pyarrow.parquet

    types = [pyarrow.float32() if name.startswith("prob") else pyarrow.string() for name in columns]
    schema = pyarrow.schema(list(zip(columns, types, strict=True)))
    rows: list[_Row] = []

    def flush() -> None:
        arrays = [
            pyarrow.array(column, kind)
            for column, kind in zip(zip(*rows, strict=True), types, strict=True)
        ]
        writer.write_table(pyarrow.Table.from_arrays(arrays, schema=schema))
        rows.clear()

    def add(row: _Row) -> None:
        rows.append(row)
        if len(rows) == _ROW_GROUP:
            flush()

    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        yield add
        if rows:
            flush()
