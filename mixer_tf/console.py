# SPDX-License-Identifier: Apache-2.0
"""Console output: silent libraries, tables, progress counters, commands to paste."""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import shutil
import sys
import time
import unicodedata
import warnings
from collections.abc import Callable, Iterator, Sequence

from mixer_tf import library_messages
from mixer_tf.messages import visible

_REFRESH_SECONDS = 0.2
_LOG_SECONDS = 60.0
_NOISY = ("tensorflow", "apache_beam", "tensorflow_model_analysis", "absl", "root")


def command_line(program: str, *arguments: str) -> str:
    """Returns the shell command for a program of this Python environment, quoted.

    If the environment is activated, the name of the program is enough; otherwise it is a path.
    """
    path = os.path.join(os.path.dirname(sys.executable), program)
    is_on_path = shutil.which(program) == path
    return shlex.join([program if is_on_path else short_path(path), *arguments])


def short_path(path: str) -> str:
    """Returns a path as a user would type it: relative if it is inside the current folder."""
    relative = os.path.relpath(path)
    return path if relative.startswith(os.pardir) else relative


def silence_libraries() -> None:
    """Silences TensorFlow, Beam and TFX; call it before any of them is imported.

    No error is lost: what they log as an error, they also raise.

    It also sets environment variables, because worker processes inherit only those.
    """
    os.environ[library_messages.SILENT] = "1"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["PYTHONWARNINGS"] = "ignore"
    warnings.filterwarnings("ignore")
    logging.getLogger().setLevel(logging.ERROR)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.ERROR)
    # Beam logs the traceback of an error, and then raises it.
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
    logging.getLogger("PIL").setLevel(logging.CRITICAL)  # It raises errors, too, that name no file.
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
        rows: one text for each column; control characters become visible.
        left: the number of first columns with text, which is left-aligned; the other columns are
            numbers, which are right-aligned.
    """
    table = [list(header), *([visible(text) for text in row] for row in rows)]
    widths = [max(map(_width, column)) for column in zip(*table, strict=True)]
    return "\n".join(_format_row(row, widths, left) for row in table)


def _format_row(row: Sequence[str], widths: Sequence[int], left: int) -> str:
    cells = []
    for index, (text, width) in enumerate(zip(row, widths, strict=True)):
        padding = " " * (width - _width(text))
        cells.append(text + padding if index < left else padding + text)
    return "  ".join(cells).rstrip()


def _width(text: str) -> int:
    """Returns the width of a text on a terminal: 2 for a Chinese character, 0 for an accent."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    marks = sum(unicodedata.category(character) in ("Mn", "Me", "Cf") for character in text)
    return len(text) + wide - marks


def format_duration(seconds: float) -> str:
    """Returns a duration as minutes and seconds, "0:07", or with hours, "1:02:03"."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def duration_in_words(seconds: float) -> str:
    """Returns a rough duration: "40 s", "12 min", "1 h 20 min" or "3 d 4 h"."""
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{days:,} d {hours} h" if hours else f"{days:,} d"


@contextlib.contextmanager
def progress_with_time_left() -> Iterator[Callable[[str, int, int], None]]:
    """Yields a function that shows what is done, how much of it, and the time that is left.

    Its arguments are a title, and the numbers of finished and of all parts; with another title, the
    time restarts. On a terminal there is one line, which vanishes at the end; elsewhere, such as
    in a log, a line is added once a minute.
    """
    is_terminal = sys.stderr.isatty()
    pause = _REFRESH_SECONDS if is_terminal else _LOG_SECONDS
    before, after = ("\r\x1b[K", "") if is_terminal else ("", "\n")
    shown_at = time.monotonic()
    started: dict[str, tuple[float, int]] = {}

    def show(title: str, done: int, total: int) -> None:
        nonlocal shown_at
        now = time.monotonic()
        # What is finished when this is called first was not timed; a resumed training has much.
        start, first = started.setdefault(title, (now, done))
        if now - shown_at < pause:
            return
        shown_at = now
        seconds = (now - start) / max(done - first, 1) * (total - done)
        left = f"  {format_duration(seconds)} left" if done > first else ""
        line = f"{title} … {done / total:.0%}{left}"
        library_messages.show(f"{before}{line}{after}")

    try:
        yield show
    finally:
        if is_terminal:
            library_messages.show("\r\x1b[K")


@contextlib.contextmanager
def progress_counter(label: str) -> Iterator[Callable[[int], None]]:
    """Yields a function that shows the number done so far; it prints only to a terminal."""
    shown_at = 0.0
    is_terminal = sys.stderr.isatty()

    def show(count: int) -> None:
        nonlocal shown_at
        if is_terminal and time.monotonic() - shown_at > _REFRESH_SECONDS:
            shown_at = time.monotonic()
            library_messages.show(f"\r\x1b[K{label} … {count:,}")

    try:
        yield show
    finally:
        if is_terminal:
            library_messages.show("\r\x1b[K")


@contextlib.contextmanager
def activity(label: str) -> Iterator[None]:
    """Shows what takes seconds during the block; it prints only to a terminal."""
    is_terminal = sys.stderr.isatty()
    if is_terminal:
        library_messages.show(f"{label} …")
    try:
        yield
    finally:
        if is_terminal:
            library_messages.show("\r\x1b[K")
