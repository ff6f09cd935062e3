# SPDX-License-Identifier: Apache-2.0
"""Files on this machine or in a bucket ("gs://…"), written completely or not at all.

Local paths are handled by `os` and need no TensorFlow; remote ones are handled by its `gfile`.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from typing import BinaryIO

_PARTIAL = "partial-"
_PATTERN_CHARACTERS = "[]*?\\"


def is_remote(path: str) -> bool:
    """Whether only TensorFlow's file system can reach the path, such as "gs://bucket/a.png"."""
    return "://" in path


def require_literal(path: str, name: str) -> None:
    """Raises an error if TensorFlow would read the path of a folder as a pattern.

    TensorFlow finds the files of a model's variables by a pattern that starts with the path of the
    folder, and so does TFX with its examples; neither knows an escape. Call it before any work.

    Args:
        path: a folder that TensorFlow reads or writes.
        name: what the path is, such as "--output".

    Raises:
        ValueError: the path has one of `[ ] * ? \\`, or bytes that are not UTF-8.
    """
    found = next((character for character in path if character in _PATTERN_CHARACTERS), None)
    if found:
        raise ValueError(
            f"{name} must have none of {' '.join(_PATTERN_CHARACTERS)} in its path, which "
            f"TensorFlow reads as a pattern; got {found} in {path}. Use a path without it."
        )
    try:
        path.encode()
    except UnicodeEncodeError:
        raise ValueError(
            f"{name} must be valid UTF-8; got {path!r}. Use a path without such bytes."
        ) from None


def require_writable(path: str, name: str) -> None:
    """Checks the path of an output file before any work.

    Args:
        path: the file; an existing one would be replaced.
        name: what the path is, such as "--output".

    Raises:
        ValueError: its folder does not exist, or it is a folder.
    """
    folder = os.path.dirname(path)
    if folder and not is_remote(path) and not os.path.isdir(folder):
        raise ValueError(f"{name} must be in a folder that exists; got {path}. Create {folder}.")
    if is_folder(path):
        raise ValueError(f"{name} must be a file; got the folder {path}.")


def gfile():
    """Returns TensorFlow's file system; imports TensorFlow."""
    from tensorflow.io import gfile

    return gfile


def resolve(root: str, path: str) -> str:
    """Returns the full path: below `root`, unless `path` is absolute or remote."""
    return path if is_remote(path) else os.path.join(root, path)


def exists(path: str) -> bool:
    return gfile().exists(path) if is_remote(path) else os.path.exists(path)


def is_folder(path: str) -> bool:
    return gfile().isdir(path) if is_remote(path) else os.path.isdir(path)


def list_names(folder: str) -> list[str]:
    """Returns the sorted names of the files and folders in a folder."""
    if is_remote(folder):
        return sorted(name.rstrip("/") for name in gfile().listdir(folder))
    return sorted(os.listdir(folder))


def find_files(pattern: str) -> list[str]:
    """Returns the sorted paths that match a glob pattern; "**" also matches nested folders."""
    if is_remote(pattern):
        return sorted(gfile().glob(pattern))
    return sorted(glob.glob(pattern, recursive=True))


def file_size(path: str) -> int:
    """Returns the size of a file in bytes.

    Raises:
        OSError: the file does not exist or cannot be read.
    """
    if not is_remote(path):
        return os.path.getsize(path)
    with _remote_errors(path):
        return gfile().stat(path).length


def make_folder(path: str) -> None:
    """Creates a folder and its parents; does nothing where they exist."""
    if is_remote(path):
        gfile().makedirs(path)
    else:
        os.makedirs(path, exist_ok=True)


def remove_folder(path: str) -> None:
    """Removes a folder and its content; does nothing where it does not exist."""
    if not exists(path):
        return
    if is_remote(path):
        gfile().rmtree(path)
    else:
        shutil.rmtree(path)


def read_bytes(path: str, size: int = -1) -> bytes:
    """Returns the first `size` bytes of a file; all of them where `size` is -1.

    Raises:
        OSError: the file does not exist or cannot be read.
    """
    if is_remote(path):
        with _remote_errors(path), gfile().GFile(path, "rb") as file:
            return file.read(size)
    with open(path, "rb", buffering=0) as file:
        return file.read(size)


def read_range(path: str, start: int, size: int) -> bytes:
    """Returns `size` bytes of a file from the position `start`.

    Raises:
        OSError: the file cannot be read, or ends before that.
    """
    if is_remote(path):
        with _remote_errors(path), gfile().GFile(path, "rb") as file:
            file.seek(start)
            found = file.read(size)
    else:
        with open(path, "rb") as file:
            file.seek(start)
            found = file.read(size)
    if len(found) < size:
        raise OSError(f"{path} must have at least {start + size:,} bytes; it is truncated")
    return found


def read_text(path: str) -> str:
    """Returns the content of a UTF-8 file; other bytes become surrogate escapes."""
    return read_bytes(path).decode("utf-8", "surrogateescape")


def copy_file(path: str, target: str) -> None:
    """Copies a file; the copy appears under its name only when it is complete.

    Several processes may copy it to the same name at the same time.
    """
    with replacing(target, concurrent=True) as partial:
        if is_remote(path) or is_remote(target):
            gfile().copy(path, partial, overwrite=True)
        else:
            shutil.copyfile(path, partial)


def rename_file(path: str, target: str) -> None:
    """Renames a file; does nothing if an earlier attempt has renamed it already."""
    if not exists(path) and exists(target):
        return
    if is_remote(path):
        gfile().rename(path, target, overwrite=True)
    else:
        os.replace(path, target)


def write_text(path: str, text: str) -> None:
    """Writes a UTF-8 file, as `write_bytes` does."""
    write_bytes(path, text.encode("utf-8", "surrogateescape"))


def write_bytes(path: str, content: bytes) -> None:
    """Writes a file, which appears under its name only when it is complete.

    Several processes may write the same file at the same time; one of their files stays.
    """
    with open_new(path) as file:
        file.write(content)


@contextlib.contextmanager
def open_new(path: str) -> Iterator[BinaryIO]:
    """Yields a file to write to, which appears under its name when the block succeeds.

    Several processes may write the same file at the same time; one of their files stays.
    """
    with (
        replacing(path, concurrent=True) as partial,
        gfile().GFile(partial, "wb") if is_remote(path) else open(partial, "wb") as file,
    ):
        yield file


@contextlib.contextmanager
def open_existing(path: str) -> Iterator[BinaryIO]:
    """Yields a file to read from, part by part.

    Raises:
        OSError: the file does not exist or cannot be read.
    """
    if is_remote(path):
        with _remote_errors(path), gfile().GFile(path, "rb") as file:
            yield file
    else:
        with open(path, "rb") as file:
            yield file


def partial_name(name: str) -> str:
    """Returns the name of a file or folder of one writer that was not completed."""
    return _PARTIAL + name


def is_partial(found: str, name: str) -> bool:
    """Whether a name is that of a file `name` that was not completed; a killed process leaves it.

    Args:
        found: the name of a file, without its folder.
        name: the name that the complete file would have.
    """
    return re.fullmatch(f"{_PARTIAL}([0-9a-f]{{32}}-)?{re.escape(name)}", found) is not None


@contextlib.contextmanager
def replacing(path: str, *, concurrent: bool = False) -> Iterator[str]:
    """Yields the path to write a file to; it is renamed to `path` when the block succeeds.

    An existing file is replaced. If the block fails, the partial file is removed, and an existing
    file stays. Partial names start with "partial-", which no pattern for shards matches.

    Args:
        path: path of the complete file.
        concurrent: whether several processes, of one or more machines, may write the same file at
            the same time; each then has a partial file of its own.
    """
    prefix = f"{_PARTIAL}{uuid.uuid4().hex}-" if concurrent else _PARTIAL
    partial = os.path.join(os.path.dirname(path), prefix + os.path.basename(path))
    try:
        yield partial
        if is_remote(path):
            gfile().rename(partial, path, overwrite=True)
        else:
            os.replace(partial, path)
    finally:
        remove_file(partial)


@contextlib.contextmanager
def _remote_errors(path: str) -> Iterator[None]:
    """Raises TensorFlow's file errors as the OSError that a local file would give."""
    from tensorflow import errors

    try:
        yield
    except errors.NotFoundError:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from None
    except errors.OpError as error:
        raise OSError(error.message) from error


def remove_file(path: str) -> None:
    """Removes a file, if it exists."""
    if is_remote(path):
        if gfile().exists(path):
            gfile().remove(path)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)


@contextlib.contextmanager
def replacing_folder(path: str) -> Iterator[str]:
    """Yields the path to write a folder to; it is renamed to `path` when the block succeeds.

    An existing folder is replaced. If the block fails, the partial folder is removed, and an
    existing folder stays.
    """
    path = path.rstrip("/")
    partial = os.path.join(os.path.dirname(path), _PARTIAL + os.path.basename(path))
    remove_folder(partial)
    make_folder(os.path.dirname(partial) or ".")
    try:
        yield partial
        remove_folder(path)
        if is_remote(path):
            gfile().rename(partial, path)
        else:
            os.rename(partial, path)
    finally:
        remove_folder(partial)
