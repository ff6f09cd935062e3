# SPDX-License-Identifier: Apache-2.0
"""Reads the rows of a CSV file, whatever separates its columns. No TensorFlow is imported."""

from __future__ import annotations

import codecs
import csv
import dataclasses
import io
import itertools
import os
import re
from collections.abc import Callable, Iterator

from mixer_tf import storage

# A list of several million images; a larger file is not a list of images.
MAX_BYTES = 512 * 2**20
SAMPLE = 20
_SAMPLE_SIZE = 2**20
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
# Those of UTF-32 first, because they begin with those of UTF-16.
_ENCODINGS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    *((mark, "utf-32") for mark in (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)),
    *((mark, "utf-16") for mark in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)),
)
# The first line of a file for Excel; the line break is kept, so that the rows keep their numbers.
_STATED = re.compile(r"sep=([^\w\s\"]|\t)(?=[\r\n])")


@dataclasses.dataclass(frozen=True)
class Table:
    """The non-blank rows of a file.

    Attributes:
        rows: (number of the row in the file, its cells without surrounding spaces).
        delimiter: what separates the columns, such as "semicolons".
    """

    rows: list[tuple[int, list[str]]]
    delimiter: str


def read(path: str, score: Callable[[str], int]) -> Table:
    """Reads a CSV file; the first rows decide what separates the columns.

    Args:
        path: a local file.
        score: how much a cell looks like the path of an image. If several delimiters are possible,
            the one with the highest sum is used.

    Raises:
        ValueError: the file does not exist, or is not a regular file, too large, not Unicode, empty
            or not CSV.
    """
    text = _read_text(path)
    stated = _STATED.match(text)
    if stated:
        text = text[stated.end() :]
    delimiter = stated[1] if stated else _find_delimiter(text, score)
    try:
        rows = list(_rows(text, delimiter))
    except csv.Error as error:
        raise ValueError(
            f"csv: quotes must enclose a whole cell on one line, and a cell must have at most "
            f"{csv.field_size_limit():,} characters; {path} is not valid: {error}."
        ) from None
    if not rows:
        raise ValueError(f"csv: the file must list path,label; {path} is empty.")
    width = len(rows[0][1])
    for number, row in rows:
        if len(row) > width and any(row[width:]):
            raise ValueError(
                f"csv: each row must have the columns of the first row; row {number} of {path} "
                f"has {len(row)}, the first has {width}. Put a cell that contains "
                f"{delimiter!r} in double quotes."
            )
    return Table(rows, _DELIMITERS.get(delimiter, repr(delimiter)))


def _read_text(path: str) -> str:
    if storage.is_remote(path):
        raise ValueError(
            f"csv: the list must be a file of this machine or of a mounted volume; got {path!r}. "
            "The images that it lists may be in a bucket."
        )
    if not os.path.exists(path):
        raise ValueError(f"csv: must be followed by an existing file; got {path!r}.")
    if not os.path.isfile(path):
        raise ValueError(f"csv: must be followed by a regular file; {path!r} is not one.")
    size = os.path.getsize(path)
    if size > MAX_BYTES:
        raise ValueError(
            f"csv: the file must have at most {MAX_BYTES / 2**20:,.0f} MB; {path} has "
            f"{size / 2**20:,.0f} MB. Is it a list of images?"
        )
    with open(path, "rb") as file:
        content = file.read()
    # UTF-8 or what the byte order mark says, such as the "Unicode text" of Excel.
    encoding = next((name for mark, name in _ENCODINGS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"csv: the file must be UTF-8; {path} is not: {error}. Save it again as UTF-8."
        ) from None
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        utf16 = ", as UTF-16 without a byte order mark has" if text.count("\0") > 9 else ""
        raise ValueError(
            f"csv: the file must be UTF-8 text; line {line} of {path} contains a NUL byte{utf16}. "
            "Save it again as UTF-8."
        )
    return text


def _find_delimiter(text: str, score: Callable[[str], int]) -> str:
    scores, text = {}, text[:_SAMPLE_SIZE]
    for delimiter in _DELIMITERS:
        try:
            rows = [row for _, row in itertools.islice(_rows(text, delimiter), SAMPLE)]
        except csv.Error:
            continue
        if rows and len(rows[0]) > 1:
            scores[delimiter] = sum(score(cell) for row in rows for cell in row)
    return max(scores, key=scores.get, default=",")


def _rows(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True)
    for number, row in enumerate(reader, start=1):
        cells = [cell.strip() for cell in row]
        if any(cells):
            yield number, cells
