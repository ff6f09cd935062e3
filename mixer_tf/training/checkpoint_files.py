# SPDX-License-Identifier: Apache-2.0
"""The files of a training's checkpoints: written completely or not at all, verified when read.

The folder holds, for each checkpoint that is kept, a folder `step-…` with

* `tensors.index` and `tensors.data-…`: weights and optimizer, as TensorFlow writes them,
* `state.json`: everything else,

and `best-….npz`: the best weights, for each epoch that a checkpoint names as the best one.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import zipfile
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import tensorflow as tf

from mixer_tf import storage
from mixer_tf.training.reporting import reason

# What reading an incomplete or corrupt file raises: the system, TensorFlow, its reader of
# checkpoints, and the readers of JSON and zip files. An error of the file system is among them:
# TensorFlow's reader raises the same exception for a wrong checksum and for too many open files.
_UNREADABLE = (
    *(OSError, tf.errors.OpError, LookupError, RuntimeError),
    *(ValueError, TypeError, EOFError, zipfile.BadZipFile),
)
_CHUNK_BYTES = 16 * 1024**2

_STATE_FILE = "state.json"
_TENSORS = "tensors"
_NAME = re.compile(r"step-(\d+)-epoch-(\d+)")
_BEST = re.compile(r"best-(\d+)\.npz")

Content = TypeVar("Content")


class CorruptCheckpointError(ValueError):
    """A file of a checkpoint is missing, incomplete or corrupt."""


def checkpoint_name(step: int, epochs: int) -> str:
    """Returns the name of a checkpoint; names sort by the step, then by the complete epochs."""
    return f"step-{step:010d}-epoch-{epochs:07d}"


class CheckpointFiles:
    """The folder of the checkpoints of one training.

    Args:
        folder: any file system that TensorFlow knows.
    """

    def __init__(self, folder: str):
        self.folder = folder

    def names(self) -> list[str]:
        """Returns the checkpoints, the latest first; without those that are being removed.

        Raises:
            OSError: the folder cannot be read.
        """
        if not storage.is_folder(self.folder):
            return []
        found = [name for name in storage.list_names(self.folder) if _NAME.fullmatch(name)]
        return [n for n in sorted(found, reverse=True) if not _is_missing(self._state_path(n))]

    def write(self, name: str, write_tensors: Callable[[str], object], state: dict) -> None:
        """Writes a checkpoint, which appears under its name only when it is complete.

        Args:
            name: see `checkpoint_name`.
            write_tensors: writes TensorFlow's part, given the prefix of its files.
            state: what JSON can store.

        Raises:
            OSError, tf.errors.OpError: it cannot be written, such as to a full disk.
        """
        with storage.replacing_folder(os.path.join(self.folder, name)) as partial:
            storage.make_folder(partial)
            write_tensors(os.path.join(partial, _TENSORS))
            storage.write_text(os.path.join(partial, _STATE_FILE), json.dumps(state))

    def read_state(self, name: str) -> dict:
        """Returns the state of a checkpoint, after every byte of its tensors has been verified.

        The verification matters because a failure in the middle of restoring would leave a mixture
        of weights. It uses the checksums that TensorFlow stores with each tensor.

        Raises:
            CorruptCheckpointError: the checkpoint is incomplete or corrupt.
            OSError: it cannot be read now.
        """
        return _read(lambda: self._read_state(name), self._list_files(name))

    def _read_state(self, name: str) -> dict:
        state = json.loads(storage.read_text(self._state_path(name)))
        _ = state["best"]["epoch"]
        reader = tf.train.load_checkpoint(self.tensors(name))
        for tensor in reader.get_variable_to_shape_map():
            reader.get_tensor(tensor)
        return state

    def _list_files(self, name: str) -> list[str]:
        folder = os.path.join(self.folder, name)
        with contextlib.suppress(FileNotFoundError):  # the chief of several workers has removed it
            return [os.path.join(folder, each) for each in storage.list_names(folder)]
        return []

    def tensors(self, name: str) -> str:
        """Returns the prefix of TensorFlow's files."""
        return os.path.join(self.folder, name, _TENSORS)

    def remove(self, name: str) -> None:
        """Removes a checkpoint; when killed in between, what is left does not count as one."""
        state = self._state_path(name)
        if storage.is_remote(state):
            tf.io.gfile.remove(state)
        else:
            os.remove(state)
        storage.remove_folder(os.path.join(self.folder, name))

    def prune(self, keep: int) -> None:
        """Removes all but the last checkpoints, and best weights that none of them names.

        Also what a killed process has left of another one; nothing must be written meanwhile.
        """
        names = self.names()
        for name in names[keep:]:
            self.remove(name)
        for name in storage.list_names(self.folder):
            if name.startswith(storage.partial_name("step-")):
                storage.remove_folder(os.path.join(self.folder, name))
        self._prune_best(names[:keep])

    def _prune_best(self, names: Sequence[str]) -> None:
        """Removes the best weights that no checkpoint names, where all of them can be read."""
        try:
            best = {self._best_epoch(name) for name in names}
        except OSError:
            return
        for name in storage.list_names(self.folder):
            match = _BEST.fullmatch(name)
            if match and int(match[1]) not in best:
                tf.io.gfile.remove(os.path.join(self.folder, name))

    def discard(self) -> None:
        """Removes everything; a run that is killed in between leaves no checkpoint, not a part."""
        for name in self.names():
            self.remove(name)
        storage.remove_folder(self.folder)

    def write_best(self, epoch: int, weights: list[np.ndarray]) -> None:
        """Writes the weights of an epoch, unless they are written already."""
        path = self._best_path(epoch)
        if storage.exists(path):
            return
        buffer = io.BytesIO()  # zip files need to seek, which remote files cannot while written
        np.savez(buffer, *weights)
        storage.write_bytes(path, buffer.getvalue())

    def read_best(self, epoch: int) -> list[np.ndarray]:
        """Returns the weights of an epoch.

        Raises:
            CorruptCheckpointError: the file is missing or corrupt.
            OSError: it cannot be read now.
        """
        return _read(lambda: self._read_best(epoch), [self._best_path(epoch)])

    def _read_best(self, epoch: int) -> list[np.ndarray]:
        arrays = np.load(io.BytesIO(storage.read_bytes(self._best_path(epoch))))
        return [arrays[f"arr_{index}"] for index in range(len(arrays.files))]

    def _best_epoch(self, name: str) -> int:
        """Returns the epoch whose weights a checkpoint names; 0 for a corrupt one.

        Raises:
            OSError: it cannot be read now.
        """
        try:
            return json.loads(storage.read_text(self._state_path(name)))["best"]["epoch"]
        except (ValueError, LookupError, TypeError):
            return 0

    def _best_path(self, epoch: int) -> str:
        return os.path.join(self.folder, f"best-{epoch:07d}.npz")

    def _state_path(self, name: str) -> str:
        return os.path.join(self.folder, name, _STATE_FILE)


def _read(read: Callable[[], Content], paths: Sequence[str]) -> Content:
    """Returns what `read` returns.

    Where it fails, the files decide why: if every byte of them can be read, they are corrupt.

    Args:
        read: reads files of a checkpoint.
        paths: these files.

    Raises:
        CorruptCheckpointError: a file is missing or corrupt.
        OSError: a file cannot be read now, such as without permission or with too many open files.
    """
    with contextlib.suppress(*_UNREADABLE):
        return read()
    _require_readable(paths)
    try:
        return read()  # the first failure may have passed
    except _UNREADABLE as error:
        raise CorruptCheckpointError(reason(error)) from error


def _require_readable(paths: Sequence[str]) -> None:
    """Reads all files, which are open at the same time as TensorFlow has them; skips missing ones.

    Raises:
        OSError: one of them cannot be read.
    """
    with contextlib.ExitStack() as stack:
        files = []
        for path in paths:
            if not _is_missing(path):
                files.append(stack.enter_context(storage.open_existing(path)))
        for file in files:
            while file.read(_CHUNK_BYTES):
                pass


def _is_missing(path: str) -> bool:
    """Whether a file does not exist, which one that cannot be reached may do.

    Raises:
        OSError: it cannot be reached.
    """
    if storage.is_remote(path):
        return not storage.exists(path)
    try:
        os.stat(path)
    except FileNotFoundError:
        return True
    return False
