# SPDX-License-Identifier: Apache-2.0
"""What messages to users have in common."""

from __future__ import annotations

import difflib
import pathlib
import traceback
from collections.abc import Iterable

_PROJECT = pathlib.Path(__file__).parent

# Raised with a message for the user; any other exception is a fault of ours.
_MEANT_FOR_USERS = (ValueError, ArithmeticError, OSError, RuntimeError)


def did_you_mean(given: str, known: Iterable[str], most: int = 3) -> str:
    """Returns " Did you mean mixer_b16?", or "" where no known name is near.

    Args:
        given: what was typed; upper and lower case do not matter.
        known: the names that exist.
        most: how many to suggest at most.
    """
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(given.lower(), by_lower, most)
    return f" Did you mean {' or '.join(by_lower[name] for name in near)}?" if near else ""


def printable(path: str) -> str:
    """Returns a path as valid Unicode: bytes that are not become replacement characters."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def clear_message(error: Exception) -> str:
    """Says what is wrong, and what to do where that is not obvious.

    Of what a library says the first line; our own messages are whole, such as the list of all
    weights that do not fit.
    """
    text = str(error).strip()
    if not _is_ours(error):
        text = text.partition("\n")[0]
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
