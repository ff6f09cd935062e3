# SPDX-License-Identifier: Apache-2.0
"""The results of a study as JSON, complete, and as CSV, one row for each training."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence

from mixer_tf import storage
from mixer_tf.messages import spreadsheet_cell


def write_json(
    path: str, summary: Mapping[str, object], rows: Sequence[Mapping], key: str = "trainings"
) -> None:
    """Writes {**summary, key: rows}; the file is replaced as a whole."""
    storage.write_text(path, json.dumps({**summary, key: list(rows)}, indent=2) + "\n")


def write_csv(path: str, columns: Sequence[str], rows: Sequence[Mapping]) -> None:
    """Writes one line for each row; a column that a row does not have is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([spreadsheet_cell(row.get(column)) for column in columns])
    storage.write_text(path, text.getvalue())
