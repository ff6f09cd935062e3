# SPDX-License-Identifier: Apache-2.0
"""The user's list of training images that must not be removed, in the words of the report."""

from __future__ import annotations

import json
import os

from mixer_tf import storage

# Several million paths; a larger file is not a list that a user made.
MAX_BYTES = 256 * 2**20


def read(path: str) -> frozenset[str]:
    """Reads a list of images, one per line.

    A line is the path or id of a training image as `pairs.html` shows it, or a line copied from
    `pairs.jsonl`, which stands for its "image". Blank lines and lines that start with # are
    skipped.

    Args:
        path: a UTF-8 file, on this machine or in a bucket.

    Returns:
        The paths and ids, for `DeduplicationOptions.keep`.

    Raises:
        ValueError: the file does not exist, is not a regular file, is too large or not UTF-8, or
            has a line that starts with { and is not from `pairs.jsonl`.
    """
    # Only line breaks separate lines: a path may contain what `str.splitlines` splits at.
    lines = _read_text(path).replace("\r\n", "\n").split("\n")
    found = (_parse(line.strip(), number, path) for number, line in enumerate(lines, 1))
    return frozenset(source for source in found if source)


def _parse(line: str, number: int, path: str) -> str:
    """The path or id that a line names; "" if it names none."""
    if not line.startswith("{"):
        return "" if line.startswith("#") else line
    try:
        source = json.loads(line)["image"]["source"]
    except (ValueError, LookupError, TypeError, RecursionError):
        source = None
    if isinstance(source, str) and source:
        return source
    raise ValueError(
        "a list of duplicates to keep must have one image per line, as its path or id, or as a "
        f"line of pairs.jsonl; line {number} of {path} is neither: {line[:60]!r}. Copy the whole "
        "line."
    )


def _read_text(path: str) -> str:
    is_local = not storage.is_remote(path)
    if not storage.exists(path) or (is_local and not os.path.isfile(path)):
        raise ValueError(f"a list of duplicates to keep must be an existing file; got {path!r}.")
    size = storage.file_size(path)
    if size > MAX_BYTES:
        raise ValueError(
            f"a list of duplicates to keep must have at most {MAX_BYTES / 2**20:,.0f} MB; {path} "
            f"has {size / 2**20:,.0f} MB. Is it a list of images?"
        )
    try:
        text = storage.read_bytes(path).decode("utf-8-sig")
    except OSError as error:
        raise ValueError(
            f"a list of duplicates to keep must be readable; {path} is not: {error.strerror}."
        ) from None
    except UnicodeDecodeError as error:
        raise ValueError(
            f"a list of duplicates to keep must be UTF-8; {path} is not: {error}. Save it again as "
            "UTF-8."
        ) from None
    if "\0" in text:
        raise ValueError(f"a list of duplicates to keep must be text; {path} has NUL bytes.")
    return text
