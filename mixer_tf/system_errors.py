# SPDX-License-Identifier: Apache-2.0
"""Errors of the operating system in one line: a full disk, no permission, a folder that vanished.

TensorFlow, Beam and SQLite hide them in exceptions of their own. No TensorFlow is imported.
"""

from __future__ import annotations

import errno
import os
import re
import resource
import shutil
import tempfile
from collections.abc import Iterator

_AGAIN = "then run the same command again."

# Whatever happened afterwards, these are the reason.
_FULL = (errno.ENOSPC, errno.EDQUOT)
_TOO_MANY_FILES = (errno.EMFILE, errno.ENFILE)
_DECISIVE = (*_FULL, *_TOO_MANY_FILES, errno.EFBIG, errno.EROFS)
# An error that was raised because of one of these may say more.
_OTHERS = (errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE, errno.ENOENT)
_SQLITE = {
    "database or disk is full": errno.ENOSPC,
    "attempt to write a readonly database": errno.EROFS,
    "disk I/O error": errno.EIO,
    "unable to open database file": errno.ENOENT,
}
# These quote the reasons of other errors, or are about the installation.
_NOT_OF_THE_SYSTEM = (ValueError, TypeError, ImportError)


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yields an exception, those that led to it, and those in whose handling they occurred."""
    waiting, seen = [error], set()
    while waiting:
        found = waiting.pop(0)
        if found is None or id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        context = None if found.__suppress_context__ else found.__context__
        waiting += [found.__cause__, context]


def explain(
    error: BaseException, folder: str | None = None, is_complete: bool = False
) -> str | None:
    """Returns what is wrong with the disk or the system and what to do; None if it is neither.

    Args:
        error: an exception; its causes count as well.
        folder: what the command writes to, for errors that name no path.
        is_complete: whether the message of the exception itself is clear; it is preferred unless
            the reason is one like a full disk.
    """
    kinds = _DECISIVE if is_complete else (*_DECISIVE, *_OTHERS)
    for found in chain(error):
        number = _number(found)
        if number in kinds and (number in _DECISIVE or found in _causes(error)):
            return _message(number, _path(found, number), folder)
    return None


def _causes(error: BaseException) -> list[BaseException]:
    causes = [error]
    while (cause := causes[-1].__cause__) and cause not in causes:
        causes.append(cause)
    return causes


def _number(error: BaseException) -> int | None:
    """The number of the system's error that an exception is or describes."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    if isinstance(error, _NOT_OF_THE_SYSTEM):
        return None
    text = str(error)
    for number in (*_DECISIVE, *_OTHERS):
        # Others than a full disk also occur on a remote file system, or in a list of reasons.
        if os.strerror(number) in text and (number in _DECISIVE or _path(error, number)):
            return number
    return next((number for words, number in _SQLITE.items() if words in text), None)


def _path(error: BaseException, number: int) -> str | None:
    """The local path that an exception names, or None."""
    if isinstance(error, OSError) and isinstance(error.filename, (str, bytes)):
        return os.fsdecode(error.filename2 or error.filename)
    # TensorFlow writes "/path/of/a/file; No space left on device".
    found = re.search(r"(?:^|\s)(/[^\n;]*); " + re.escape(os.strerror(number)), str(error))
    return found and found[1]


def _message(number: int, path: str | None, folder: str | None) -> str:
    if number in _TOO_MANY_FILES:
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return f"a process may have {limit:,} open files; raise it with `ulimit -n`, {_AGAIN}"
    if number in _FULL:
        return _full(number, path or _fullest(folder), folder)
    where = path or folder or "a folder of this command"
    return {
        errno.EFBIG: f"a file below {where} is larger than this process may write; raise the "
        f"limit with `ulimit -f`, {_AGAIN}",
        errno.EROFS: f"{where} is read-only; make it writable, or name another folder.",
        errno.ENOENT: f"{where} does not exist. If it was removed or unmounted meanwhile, restore "
        f"it, {_AGAIN}",
        errno.EIO: f"{where} cannot be read or written; check the disk and `ulimit -a`, {_AGAIN}",
        errno.ESTALE: f"{where} is no longer reachable; mount its file system again, {_AGAIN}",
    }.get(number, f"no permission for {where}; change it with `chmod`, or name another path.")


def _full(number: int, path: str, folder: str | None) -> str:
    """The line for a full disk; names the command's folder if the path is below it."""
    place = _existing_folder(path)
    shown = folder if folder and _is_below(path, folder) else place
    if number == errno.EDQUOT:
        return f"the disk quota for {shown} is used up; remove files there, {_AGAIN}"
    usage, status = shutil.disk_usage(place), os.statvfs(place)
    if usage.free and status.f_files and not status.f_favail:
        return f"the disk of {shown} can hold no more files (inodes); remove some, {_AGAIN}"
    return (
        f"the disk of {shown} became full; {_megabytes(usage.free)} of "
        f"{_megabytes(usage.total)} are free now. Make room, {_AGAIN}"
    )


def _fullest(folder: str | None) -> str:
    """Of the folder and the one for temporary files, the one whose disk has less space."""
    places = [folder or os.getcwd(), tempfile.gettempdir()]
    return min(places, key=lambda place: shutil.disk_usage(_existing_folder(place)).free)


def _existing_folder(path: str) -> str:
    path = os.path.abspath(path)
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def _is_below(path: str, folder: str) -> bool:
    path, folder = os.path.realpath(path), os.path.realpath(folder)
    return os.path.commonpath([path, folder]) == folder


def _megabytes(count: int) -> str:
    return f"{count / 2**20:,.1f} MB"
