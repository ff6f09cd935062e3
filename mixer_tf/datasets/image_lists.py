# SPDX-License-Identifier: Apache-2.0
"""Lists of images that a user makes or copies from a report: a text file, one image per line."""

from __future__ import annotations

import json
import os

from mixer_tf import storage

# Several million paths; a larger file is not a list that a user made.
MAX_BYTES = 256 * 2**20

_SPECIAL_STARTS = ("#", "{", "\ufeff")


def read(path: str, title: str) -> frozenset[str]:
    """Reads a list of images, one per line.

    A line is the path or id of an image, or a JSON object such as a line copied from `pairs.jsonl`,
    which stands for its "image". Blank lines and lines that start with # are skipped.

    Args:
        path: a UTF-8 file, on this machine or in a bucket.
        title: what the list is, such as "a list of duplicates to keep", for messages.

    Returns:
        The paths and ids.

    Raises:
        ValueError: the file does not exist, is not a regular file, is too large or not UTF-8, or
            has a line that starts with { and does not name an image.
    """
    # Only line breaks separate lines: a path may contain what `str.splitlines` splits at.
    lines = _read_text(path, title).replace("\r\n", "\n").split("\n")
    found = (_parse(line.strip(), number, path, title) for number, line in enumerate(lines, 1))
    return frozenset(source for source in found if source)


def to_line(source: str) -> str:
    """Returns the line, without its end, that `read` reads as this path or id.

    It is the path itself, or JSON where the path has a line break, blanks at its ends, invalid
    Unicode, or the first character of a comment.
    """
    is_plain = source == source.strip() and not source.startswith(_SPECIAL_STARTS)
    if is_plain and not any(character in source for character in "\n\r\0") and _is_utf8(source):
        return source
    return json.dumps({"image": {"source": source}})


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _parse(line: str, number: int, path: str, title: str) -> str:
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
        f"{title} must have one image per line, as its path or id, or as a "
        f"line of pairs.jsonl; line {number} of {path} is neither: {line[:60]!r}. Copy the whole "
        "line."
    )


def _read_text(path: str, title: str) -> str:
    is_local = not storage.is_remote(path)
    if not storage.exists(path) or (is_local and not os.path.isfile(path)):
        raise ValueError(f"{title} must be an existing file; got {path!r}.")
    size = storage.file_size(path)
    if size > MAX_BYTES:
        raise ValueError(
            f"{title} must have at most {MAX_BYTES / 2**20:,.0f} MB; {path} "
            f"has {size / 2**20:,.0f} MB. Is it a list of images?"
        )
    try:
        text = storage.read_bytes(path).decode("utf-8-sig")
    except OSError as error:
        raise ValueError(f"{title} must be readable; {path} is not: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{title} must be UTF-8; {path} is not: {error}. Save it again as UTF-8."
        ) from None
    if "\0" in text:
        raise ValueError(f"{title} must be text; {path} has NUL bytes.")
    return text
