# SPDX-License-Identifier: Apache-2.0
"""Plain text tables and counters for a terminal."""

from __future__ import annotations

import contextlib
import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence

import click

_REFRESH_SECONDS = 0.2


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Returns aligned columns.

    Args:
        header: a title for each column.
        rows: texts, as many in each row.
        left: how many of the first columns hold words and are aligned to the left; the others hold
            numbers. A last column with the title "" is aligned to the left as well.
    """
    table = [list(header), *map(list, rows)]
    widths = [max(map(_width, column)) for column in zip(*table, strict=True)]
    return "\n".join(_format_row(row, widths, left) for row in table)


def _format_row(row: Sequence[str], widths: Sequence[int], left: int) -> str:
    cells = []
    for index, (text, width) in enumerate(zip(row, widths, strict=True)):
        padding = " " * (width - _width(text))
        cells.append(text + padding if index < left else padding + text)
    return "  ".join(cells).rstrip()


def _width(text: str) -> int:
    """Columns that a text takes on a terminal: Chinese characters take two, accents none."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    marks = sum(unicodedata.combining(character) > 0 for character in text)
    return len(text) + wide - marks


@contextlib.contextmanager
def counting(label: str) -> Iterator[Callable[[int], None]]:
    """Yields a function that shows a growing number on a terminal; elsewhere it shows nothing."""
    shown_at = 0.0
    is_terminal = click.get_text_stream("stderr").isatty()

    def show(count: int) -> None:
        nonlocal shown_at
        if is_terminal and time.monotonic() - shown_at > _REFRESH_SECONDS:
            shown_at = time.monotonic()
            click.echo(f"\r\x1b[K{label} … {count:,}", nl=False, err=True)

    try:
        yield show
    finally:
        if is_terminal:
            click.echo("\r\x1b[K", nl=False, err=True)
