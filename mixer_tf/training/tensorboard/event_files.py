# SPDX-License-Identifier: Apache-2.0
"""The event files of one training: one writer for all callbacks, repair after a kill, copies.

Each step is logged once, however often the training was killed and resumed: a resumed training
first removes the steps that it is about to repeat. `LogBackup` keeps the logs of a training that
resumes with another folder of logs.
"""

from __future__ import annotations

import contextlib
import glob
import os
import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader

from mixer_tf import storage
from mixer_tf.training import lost_workers
from mixer_tf.training.reporting import reason, warn

# TensorBoard takes every file with this in its name for a part of a run, copies included.
_EVENTS, _COPY = "tfevents", "copied-events"
_RETRY_SECONDS = 60.0  # after a failure


class RunLog:
    """Writes the events of one training, which is one run of TensorBoard.

    On a full disk, for example, a warning says so once, and the training goes on without logs until
    they can be written again.

    Args:
        folder: the folder of the run. What an earlier process has logged there after `steps_done`
            is removed.
        steps_done: the number of steps that an earlier process of the training completed.

    Attributes:
        folder, steps_done: as above.
    """

    def __init__(self, folder: str, steps_done: int = 0):
        self.folder, self.steps_done = folder, steps_done
        self._writer: tf.summary.SummaryWriter | None = _create_writer(folder, steps_done)
        self._failed_at: float | None = None

    def write_scalar(self, tag: str, value: float, step: int) -> None:
        self._write(lambda: tf.summary.scalar(tag, value, step=step))

    def write_image(self, tag: str, image: np.ndarray, step: int, description: str = "") -> None:
        """Writes one image, uint8 [height, width, 3]; the description is shown above it."""
        self._write(lambda: tf.summary.image(tag, image[None], step=step, description=description))

    def write_summary(self, summary, step: int = 0) -> None:
        """Writes a tf.compat.v1.Summary, as plugins of TensorBoard make them."""
        content = summary.SerializeToString()
        self._write(lambda: tf.summary.experimental.write_raw_pb(content, step=step))

    def flush(self) -> None:
        self._write(lambda: None)

    def close(self) -> None:
        self._write(lambda: None)
        self._close()

    def _write(self, write: Callable[[], object]) -> None:
        """Calls a function that adds events, and flushes them."""
        if self._failed_at is not None and time.monotonic() - self._failed_at < _RETRY_SECONDS:
            return
        try:
            # In the file of the writer that failed, TensorBoard would not read past the failure.
            self._writer = self._writer or tf.summary.create_file_writer(self.folder)
            with self._writer.as_default():  # at its end, TensorFlow flushes
                write()
        except (OSError, tf.errors.OpError) as error:
            if lost_workers.is_lost(error):
                raise
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        if self._failed_at is None:
            warn(
                f"the logs in {self.folder} cannot be written ({reason(error)}); the training goes "
                "on without them, and tries it again every minute."
            )
        self._failed_at = time.monotonic()
        self._close()
        with contextlib.suppress(OSError, tf.errors.OpError):  # what a failed attempt has left
            for path in _list_logs(self.folder):
                if not storage.file_size(path):
                    storage.remove_file(path)

    def _close(self) -> None:
        writer, self._writer = self._writer, None
        if writer:
            with contextlib.suppress(OSError, tf.errors.OpError):
                writer.close()


class LogBackup:
    """Copies of the logs beside the checkpoints, for a training that resumes in another folder.

    Each execution of TFX's Trainer has a folder of its own, and that of a failed one is removed.

    Args:
        folder: the folder of the run.
        backup: folder of the copies, which TensorBoard does not take for a run.
    """

    def __init__(self, folder: str, backup: str):
        self._folder, self._backup = folder, backup

    def save(self) -> None:
        """Copies all logs; called before the state of the training is saved."""
        for path in _list_logs(self._folder):
            copy = os.path.join(self._backup, os.path.basename(path).replace(_EVENTS, _COPY))
            if not storage.exists(copy) or _differ(path, copy):
                _copy(path, copy)

    def restore(self) -> None:
        """Copies back the logs that the folder does not have."""
        for copy in _list_logs(self._backup):
            path = os.path.join(self._folder, os.path.basename(copy).replace(_COPY, _EVENTS))
            if not storage.exists(path):
                _copy(copy, path)


def _copy(path: str, target: str) -> None:
    storage.make_folder(os.path.dirname(target))
    storage.copy_file(path, target)


def _differ(path: str, other: str) -> bool:
    """Whether one of two logs is longer; they are only ever appended to."""
    return storage.file_size(path) != storage.file_size(other)


def _list_logs(folder: str) -> list[str]:
    return storage.find_files(os.path.join(glob.escape(folder), "events.*"))


def _create_writer(folder: str, steps_done: int) -> tf.summary.SummaryWriter:
    """Returns a writer to a folder from which all later steps are removed.

    A TensorBoard that runs has read them already. It forgets them when it finds a START, of which
    it takes the first one for the start of the training, and each further one for a restart;
    `tf.summary` of TensorFlow 2 has no argument for it.
    """
    for path in _list_logs(folder):
        _remove_later_steps(path, steps_done)
    writer = tf.summary.create_file_writer(folder)
    start = tf.compat.v1.Event(
        wall_time=time.time(),
        step=steps_done + 1 if steps_done else 0,
        session_log=tf.compat.v1.SessionLog(status=tf.compat.v1.SessionLog.START),
    )
    tf.raw_ops.ImportEvent(writer=writer._resource, event=start.SerializeToString())
    return writer


def _remove_later_steps(path: str, steps_done: int) -> None:
    """Removes the steps after `steps_done` from a file; it is replaced by the shorter one.

    Where the training starts again, what was logged before its first step is removed as well; the
    record without a step that each file begins with stays.
    """
    records = [*RawEventFileLoader(path).Load()]  # without a last one that a kill has cut
    kept = [record for record in records if _is_kept(record, steps_done)]
    if len(kept) == len(records):
        return
    with storage.replacing(path) as partial, tf.io.TFRecordWriter(partial) as writer:
        for record in kept:
            writer.write(record)


def _is_kept(record: bytes, steps_done: int) -> bool:
    event = tf.compat.v1.Event.FromString(record)
    return event.HasField("file_version") or 0 < steps_done >= event.step
