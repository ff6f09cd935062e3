# SPDX-License-Identifier: Apache-2.0
"""What every benchmark returns: tables of numbers, as text, JSON or Markdown."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

import click

from mixer_tf.console import format_table

RATE = "images/s"  # title of a column of rates

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print the tables as one JSON object."
)


def seconds_option(default: float):
    """Returns the option of the duration of each measurement."""
    return click.option(
        "--seconds",
        type=click.FloatRange(0.1, 600),
        default=default,
        show_default=True,
        help="Duration of each measurement, after the first batches.",
    )


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: with the unit.
        format: how Python formats its numbers; "" for text.
    """

    title: str
    format: str = ""

    def cell(self, value) -> str:
        """Returns a value as text; nothing was measured where it is None."""
        return "–" if value is None else format(value, self.format)


@dataclasses.dataclass(frozen=True)
class Table:
    """The result of a benchmark.

    Attributes:
        columns: those with text come first.
        rows: a value for each column.
        notes: sentences below the table, such as why something was not measured.
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[object]]
    notes: Sequence[str] = ()

    def cells(self) -> list[list[str]]:
        """Returns the rows as texts."""
        return [
            [column.cell(value) for column, value in zip(self.columns, row, strict=True)]
            for row in self.rows
        ]

    @property
    def _header(self) -> list[str]:
        return [column.title for column in self.columns]

    @property
    def _num_texts(self) -> int:
        return sum(not column.format for column in self.columns)

    @property
    def has_failed(self) -> bool:
        """Whether it has a column of rates, and no row with a rate."""
        return RATE in self._header and all(
            row[self._header.index(RATE)] is None for row in self.rows
        )

    def to_text(self) -> str:
        """Returns aligned columns, and the notes."""
        table = format_table(self._header, self.cells(), left=self._num_texts)
        return "\n".join([table, *(f"note: {note}" for note in self.notes)])

    def to_markdown(self) -> str:
        """Returns a table of Markdown, and the notes as a paragraph."""
        numbers = len(self.columns) - self._num_texts
        ruler = ["---"] * self._num_texts + ["---:"] * numbers
        rows = [self._header, ruler, *self.cells()]
        lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
        return "\n".join([*lines, *(["", " ".join(self.notes)] if self.notes else [])])

    def to_dict(self) -> dict[str, object]:
        """Returns {"rows": [{title: value, …}, …], "notes": […]}."""
        rows = [dict(zip(self._header, row, strict=True)) for row in self.rows]
        return {"rows": rows, "notes": list(self.notes)}


def ratio(value: float | None, reference: float | None) -> float | None:
    """Returns value / reference; None where one of them was not measured, or the latter is 0."""
    return None if value is None or not reference else value / reference


def show(tables: Sequence[Table], as_json: bool) -> None:
    """Prints tables."""
    if as_json:
        click.echo(json.dumps({"tables": [table.to_dict() for table in tables]}))
    else:
        click.echo("\n\n".join(table.to_text() for table in tables))


def progress(line: str) -> None:
    """Prints what is measured now, on standard error."""
    click.echo(line, err=True)
