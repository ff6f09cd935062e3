# SPDX-License-Identifier: Apache-2.0
"""What the console shows: our own lines only, tables, counters, and commands to paste."""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import sys
import time
import unicodedata
import warnings
from collections.abc import Callable, Iterator, Sequence

_REFRESH_SECONDS = 0.2
_NOISY = ("tensorflow", "apache_beam", "tensorflow_model_analysis", "absl", "root")


def command_line(program: str, *arguments: str) -> str:
    """What to type for a program of this very Python environment, as the shell wants it."""
    path = short_path(os.path.join(os.path.dirname(sys.executable), program))
    return shlex.join([path, *arguments])


def short_path(path: str) -> str:
    """A path as a user would type it: relative where it lies below the current folder."""
    relative = os.path.relpath(path)
    return path if relative.startswith(os.pardir) else relative


def silence_libraries() -> None:
    """Silences TensorFlow, Beam and TFX; call it before any of them is imported.

    What they report as an error is raised as well, and shown then.

    Environment variables are set as well, because worker processes inherit only those.
    """
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["PYTHONWARNINGS"] = "ignore"
    warnings.filterwarnings("ignore")
    logging.getLogger().setLevel(logging.ERROR)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        from absl import logging as absl_logging
    except ImportError:
        return
    absl_logging.set_verbosity(absl_logging.FATAL)
    absl_logging.set_stderrthreshold(absl_logging.FATAL)


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
def progress_counter(label: str) -> Iterator[Callable[[int], None]]:
    """Yields a function that shows a growing number on a terminal; elsewhere it shows nothing."""
    shown_at = 0.0
    is_terminal = sys.stderr.isatty()

    def show(count: int) -> None:
        nonlocal shown_at
        if is_terminal and time.monotonic() - shown_at > _REFRESH_SECONDS:
            shown_at = time.monotonic()
            print(f"\r\x1b[K{label} … {count:,}", end="", file=sys.stderr, flush=True)

    try:
        yield show
    finally:
        if is_terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
