# SPDX-License-Identifier: Apache-2.0
"""One process at a time for each folder that a run writes to; the system frees a dead one's lock.

POSIX record locks, because a process that is started with `fork` does not inherit them: a worker
that outlives a killed run must not keep its lock.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Iterator

from mixer_tf import storage

FILE_NAME = ".lock"

_TAKEN = (errno.EACCES, errno.EAGAIN)
_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP)

# Real path → the thread that holds the lock: record locks do not exclude threads of one process.
_held: dict[str, int] = {}


@contextlib.contextmanager
def exclusive(folder: str, advice: str) -> Iterator[None]:
    """Holds the lock of a folder, which is created, and removed again where it stays empty.

    A thread that holds the lock may take it again. Where the file system has no locks, there is
    none.

    Args:
        folder: a folder of this machine.
        advice: what to do where the folder is in use, as a sentence.

    Raises:
        ValueError: another process or thread uses the folder, or it is a file.
    """
    if os.path.isfile(folder):
        raise ValueError(f"the output must be a folder; {folder} is a file. Name another one.")
    path = os.path.join(os.path.realpath(folder), FILE_NAME)
    if _held.get(path) == threading.get_ident():
        yield
        return
    if path in _held:
        raise ValueError(_in_use(folder, "another thread of this process", advice))
    with _new_folder(os.path.dirname(path)):
        file = _lock(path, folder, advice)
        _held[path] = threading.get_ident()
        try:
            yield
        finally:
            with contextlib.suppress(FileNotFoundError):  # the folder may have been moved
                os.remove(path)
            os.close(file)
            del _held[path]


def list_other_files(folder: str, state_file: str) -> list[str]:
    """Returns the names in a folder that a run has not left, sorted; none without a folder.

    Args:
        folder: the folder of a run.
        state_file: the name of the file by which the run claims the folder. A run that is killed
            before leaves a lock, and perhaps a part of that file.
    """
    found = storage.list_names(folder) if storage.is_folder(folder) else []
    return [n for n in found if n != FILE_NAME and not storage.is_partial(n, state_file)]


def _lock(path: str, folder: str, advice: str) -> int:
    """Returns the open file that holds the lock."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = _owner(file)
            os.close(file)
            if error.errno in _TAKEN:
                raise ValueError(_in_use(folder, owner, advice)) from None
            if error.errno not in _UNSUPPORTED:
                raise
            return os.open(path, os.O_RDONLY)
        if _is_file_at(path, file):
            _write_owner(file)
            return file
        os.close(file)  # its owner removed it, after this process had opened it


def _is_file_at(path: str, file: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(file))
    except FileNotFoundError:
        return False


def _write_owner(file: int) -> None:
    owner = {"process": os.getpid(), "machine": socket.gethostname(), "since": time.time()}
    os.ftruncate(file, 0)
    os.pwrite(file, json.dumps(owner).encode(), 0)


def _owner(file: int) -> str:
    """Such as "process 123 since 10:15"; the process may not have written its number yet."""
    try:
        owner = json.loads(os.pread(file, 4096, 0))
        since = time.localtime(owner["since"])
        is_today = since[:3] == time.localtime()[:3]
        when = time.strftime("%H:%M" if is_today else "%Y-%m-%d %H:%M", since)
        where = "" if owner["machine"] == socket.gethostname() else f" on {owner['machine']}"
        return f"process {owner['process']}{where} since {when}"
    except (ValueError, KeyError, TypeError):
        return "another process"


def _in_use(folder: str, owner: str, advice: str) -> str:
    return f"{folder} must be used by one run at a time; it is in use by {owner}. {advice}"


@contextlib.contextmanager
def _new_folder(path: str) -> Iterator[None]:
    """Creates a folder and its parents; those that are empty at the end are removed again."""
    created = []
    parent = path
    while not os.path.isdir(parent) and parent not in created:
        created.append(parent)
        parent = os.path.dirname(parent)
    os.makedirs(path, exist_ok=True)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # not empty, or gone
            for folder in created:
                os.rmdir(folder)
