# SPDX-License-Identifier: Apache-2.0
"""The paths that a CSV file lists: other spellings of them, and what cannot be a path.

No TensorFlow is imported.
"""

from __future__ import annotations

import glob
import os
import re
import urllib.parse
from collections.abc import Callable, Iterable, Sequence

from mixer_tf import storage
from mixer_tf.datasets import files
from mixer_tf.messages import without_credentials

# Of files that are listed without a suffix; see `_require_suffixes`.
_SUFFIXES = (".jpg", ".png", ".jpeg", ".JPG")
_WEB = re.compile(r"(https?|ftps?|data):", re.IGNORECASE)
_FILE = re.compile(r"file:(//(localhost)?(?=/))?", re.IGNORECASE)
_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\|//")
# Enough to find one that exists, unless the folder is wrong.
_MAX_CHECKED = 1000


def score(root: str, cell: str) -> int:
    """Returns how much a cell looks like the path of an image: 2 if the file exists, 0 if not."""
    if not cell:
        return 0
    path = storage.resolve(root, cell)
    if not storage.is_remote(cell) and os.path.isfile(path):
        return 2
    if storage.is_remote(cell) or files.is_image_name(cell):
        return 1
    return int(any(os.path.isfile(path + suffix) for suffix in _SUFFIXES))


def is_web_address(path: str) -> bool:
    """Whether a path is an address of the web, which is never read."""
    return ":" in path and bool(_WEB.match(path))


def read_spellings(root: str, paths: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """Returns the paths with slashes, without "file://" and "~", and notes on what was changed.

    A path stays as it is if a file of this name exists.

    Args:
        root: the folder that the paths are relative to.
        paths: as listed.
    """
    paths, notes = list(paths), []
    for sign, change, text in (
        (":", _without_file, "paths that begin with file: are read as paths of this machine"),
        ("\\", _with_slashes, "paths whose backslashes are read as slashes"),
        ("~", os.path.expanduser, ""),
    ):
        changed = _change(root, paths, sign, change)
        if changed and text:
            notes.append(f"{text}: {changed:,}")
    return paths, tuple(notes)


def _change(root: str, paths: list[str], sign: str, change: Callable[[str], str]) -> int:
    """Changes the paths with this sign that are not those of a file, and returns their number."""
    count = 0
    for index, path in enumerate(paths):
        if sign not in path:
            continue
        changed = change(path)
        if changed != path and not _exists(root, path):
            paths[index] = changed
            count += 1
    return count


def _exists(root: str, path: str) -> bool:
    return not storage.is_remote(path) and os.path.exists(storage.resolve(root, path))


def _without_file(path: str) -> str:
    found = _FILE.match(path)
    if not found:
        return path
    path = path[found.end() :]
    return path if os.path.exists(path) else urllib.parse.unquote(path)


def _with_slashes(path: str) -> str:
    return path if storage.is_remote(path) else path.replace("\\", "/")


def require_files(csv_path: str, root: str, paths: Iterable[str]) -> None:
    """Raises an error that says what is wrong if none of the first files can exist.

    Raises:
        ValueError: none of the first files exists, all are addresses of the web, or the suffixes
            are missing.
    """
    checked = list(dict.fromkeys(paths))[:_MAX_CHECKED]
    local = [path for path in checked if not is_web_address(path)]
    if not checked or any(map(storage.is_remote, local)):
        return
    if any(os.path.exists(storage.resolve(root, path)) for path in local):
        return
    if not local:
        raise ValueError(
            f"csv: a path must be that of a file; all of {csv_path} are addresses of the web, such "
            f"as {without_credentials(checked[0])}. Download the images and list their files."
        )
    _require_suffixes(csv_path, root, local)
    raise ValueError(
        f"csv: the listed files must exist; in {csv_path}, none of the first {len(local):,} does, "
        f"such as {local[0]!r}, which would be {os.path.abspath(storage.resolve(root, local[0]))}. "
        f"{_hint(local[0])}"
    )


def _hint(path: str) -> str:
    if _WINDOWS.match(path):
        return "It is a path of Windows; list the paths of this machine."
    if os.path.exists(path):
        return "It exists in the current folder, but paths are relative to that of the CSV file."
    return "Paths are relative to the folder of the CSV file."


def _require_suffixes(csv_path: str, root: str, paths: Sequence[str]) -> None:
    """Raises if with a suffix one of the first files exists."""
    for path in paths[: len(_SUFFIXES)]:
        pattern = glob.escape(storage.resolve(root, path)) + ".*"
        found = [name for name in glob.glob(pattern) if files.is_image_name(name)]
        if found:
            raise ValueError(
                f"csv: a path must include the suffix of the file; {csv_path} lists "
                f"{os.path.basename(path)!r}, and the file is {os.path.basename(found[0])!r}. "
                "Add the suffix to all paths."
            )
