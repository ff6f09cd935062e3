# SPDX-License-Identifier: Apache-2.0
"""Messages for users: suggestions for misspelled names, visible names, one line per error."""

from __future__ import annotations

import difflib
import pathlib
import re
import traceback
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence

from mixer_tf import system_errors

_PROJECT = pathlib.Path(__file__).parent

# User name and password; what follows a colon is a port if it is digits and a slash.
_CREDENTIALS = re.compile(r"(?<=://)(?:[^/\s:@]*:(?![0-9]*/)[^\s@]*@)?(?:[^/\s]*@)?")

# A signed query or fragment, such as "?X-Amz-Signature=…"; what closes a quotation is kept.
_QUERY = re.compile(r"(://.*?)[?#][\w.%\[\]-]+=\S*?(?=[\"')\].,;:]*(?:\s|$))")

# As in `_CREDENTIALS`, where the text is a single path: a password may contain spaces.
_CREDENTIALS_OF_PATH = re.compile(r"://([^/@]*@|[^/:@]*:(?![0-9]*/)[^@]*@)")

# Marks that change the direction of the text after them.
_DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

# A spreadsheet runs a cell that starts like this as a formula.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")

# Raised with a message for the user; any other exception is a bug of ours.
_MEANT_FOR_USERS = (ValueError, ArithmeticError, OSError, RuntimeError)


def did_you_mean(given: str, known: Iterable[str], most: int = 3, cutoff: float = 0.6) -> str:
    """Returns " Did you mean mixer_b16?", or "" if no known name is similar.

    Args:
        given, known, most, cutoff: see `nearest`.
    """
    names = nearest(given, known, most, cutoff)
    return f" Did you mean {' or '.join(names)}?" if names else ""


def nearest(given: str, known: Iterable[str], most: int = 3, cutoff: float = 0.6) -> list[str]:
    """Returns the known names that are similar to what was given, the most similar first.

    Args:
        given: what was typed; upper and lower case do not matter.
        known: the names that exist.
        most: the maximum number of names.
        cutoff: the minimum similarity in [0, 1]; see `difflib.get_close_matches`.
    """
    by_lower = {name.lower(): name for name in known}
    names = difflib.get_close_matches(given.lower(), by_lower, most, cutoff)
    return [by_lower[name] for name in names]


def with_examples(
    names: Iterable[str], most: int = 5, show: Callable[[str], str] = repr, separator: str = ", "
) -> str:
    """Returns the number of names and the first ones: "12 ('cat', 'dog', …)".

    Args:
        names: in the order in which they are shown.
        most: the maximum number of names that are shown.
        show: returns the text for a name.
        separator: what stands between two names.
    """
    names = list(names)
    shown = separator.join(map(show, names[:most]))
    return f"{len(names):,} ({shown}{f'{separator}…' if len(names) > most else ''})"


def listing(names: Sequence[str], most: int = 5, show: Callable[[str], str] = repr) -> str:
    """Returns the first names and the number of the others: "'cat', 'dog', and 7 more".

    Args:
        names, most, show: see `with_examples`.
    """
    shown, more = list(map(show, names[:most])), len(names) - most
    return ", ".join([*shown, *([f"and {more:,} more"] if more > 0 else [])])


def printable(path: str) -> str:
    """Returns a path as valid Unicode, with a replacement character for each invalid byte."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def spreadsheet_cell(value: str | float | None) -> str | float | None:
    """Returns the value of a cell of a CSV file.

    An apostrophe is put before a text that a spreadsheet would run as a formula.
    """
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return f"'{value}"
    return value


def visible(text: str) -> str:
    """Returns a text as one line that a terminal shows as it is.

    Control characters, line breaks, invalid characters and marks that change the direction of the
    text are written as in Python, because an escape sequence in a name would act on the terminal.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_visible_character, text))


def _visible_character(character: str) -> str:
    category = unicodedata.category(character)
    if category not in ("Cc", "Cs", "Zl", "Zp") and character not in _DIRECTIONS:
        return character
    return character.encode("unicode_escape").decode()


def without_credentials(text: str) -> str:
    """Returns a text whose URLs have no user name, password and query, such as "s3://host/a.png".

    Everything that is written or shown and may contain the path of a file must pass through here.
    """
    return _QUERY.sub(r"\1", _CREDENTIALS.sub("", text)) if "://" in text else text


def path_without_credentials(path: str) -> str:
    """The same for a single path: in it, a password may contain spaces."""
    return _CREDENTIALS_OF_PATH.sub("://", without_credentials(path)) if "://" in path else path


def require_no_credentials(values: Mapping[str, object]) -> None:
    """Raises an error if a value that is stored with a run, and shown, would disclose a secret.

    Args:
        values: name → a string, several strings, or another object, which is ignored. A string may
            hold a path behind a word, such as "csv:s3://bucket/list.csv".

    Raises:
        ValueError: one of the strings has credentials; the message does not.
    """
    for name, value in values.items():
        texts = value if isinstance(value, (list, tuple)) else (value,)
        for text in texts:
            if isinstance(text, str) and path_without_credentials(text) != text:
                raise ValueError(
                    f"{name} must be without user name, password and query, because it is stored "
                    f"and shown; got {path_without_credentials(text)} with them. Give them to the "
                    "file system instead: in environment variables such as AWS_ACCESS_KEY_ID, or "
                    "in its own configuration file."
                )


def clear_message(error: Exception, folder: str | None = None) -> str:
    """Returns what is wrong, and what to do if that is not obvious.

    A library's message is cut after its first line. Our own messages are complete, such as the list
    of all weights that do not fit. For a full disk and the like, see `system_errors`.

    Args:
        error: the exception.
        folder: what the command writes to, if known.
    """
    has_own_text = _is_ours(error) and getattr(error, "errno", None) is None
    system_error = system_errors.explain(error, folder, has_own_text)
    if system_error:
        return without_credentials(system_error)
    lines = without_credentials(str(error).strip()).split("\n")
    text = "\n".join(map(visible, lines if _is_ours(error) else lines[:1]))
    if isinstance(error, ImportError):
        return f"{text}. `mixer doctor` says how to install what is missing."
    if isinstance(error, _MEANT_FOR_USERS) and text:
        return text
    return f"{type(error).__name__}: {text} (the option --verbose shows where it came from)"


def _is_ours(error: Exception) -> bool:
    """Whether the exception was raised by code of this project."""
    frames = list(traceback.walk_tb(error.__traceback__))
    if not frames:
        return False
    frame, _ = frames[-1]
    return pathlib.Path(frame.f_code.co_filename).is_relative_to(_PROJECT)
