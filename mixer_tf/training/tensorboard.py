# SPDX-License-Identifier: Apache-2.0
"""What a training logs for TensorBoard: scalars, and plots of a Mixer's weights.

Each epoch is logged once, however often the training was killed and resumed: a resumed training
first removes the epochs that it is about to repeat. `LogBackup` keeps the epochs of a training that
resumes with another folder of logs.
"""

from __future__ import annotations

import glob
import math
import os
import time
from collections.abc import Iterator

import tensorflow as tf

from mixer_tf import storage
from mixer_tf.visualization import filter_plots

_MAX_PLOTS = 10  # of one training
_TRAIN, _EVAL, _WEIGHTS = "train", "eval", "weights"


class TensorBoardScalars(tf.keras.callbacks.Callback):
    """Writes the logs of each epoch: loss, accuracy, gradient norm, learning rate, throughput.

    `train` and `eval` are separate runs, so that one chart shows both curves.

    Args:
        folder: folder of all logs of the training.
        epochs_done: the number of epochs that an earlier run of the training completed.
    """

    def __init__(self, folder: str, epochs_done: int = 0):
        super().__init__()
        self._writers = {
            split: _create_writer(os.path.join(folder, split), epochs_done)
            for split in (_TRAIN, _EVAL)
        }

    def on_epoch_end(self, epoch, logs=None):
        for name, value in logs.items():
            split = _EVAL if name.startswith("val_") else _TRAIN
            with self._writers[split].as_default():
                tf.summary.scalar(name.removeprefix("val_"), value, step=epoch + 1)
        for writer in self._writers.values():
            writer.flush()

    def on_train_end(self, logs=None):
        for writer in self._writers.values():
            writer.close()


class WeightImages(tf.keras.callbacks.Callback):
    """Logs the plots of `mixer plot filters`: the stem and the first three blocks.

    It does so after the first epoch, the last one, and up to nine in between, and only for Mixers.

    Args:
        folder: folder of all logs of the training; the plots become a separate run `weights`.
        epochs: number of epochs of the whole training.
        epochs_done: the number of epochs that an earlier run of the training completed.
    """

    def __init__(self, folder: str, epochs: int, epochs_done: int = 0):
        super().__init__()
        self._folder = os.path.join(folder, _WEIGHTS)
        self._epochs, self._every = epochs, math.ceil(epochs / _MAX_PLOTS)
        self._epochs_done = epochs_done
        self._writer = None

    def on_epoch_end(self, epoch, logs=None):
        if epoch % self._every and epoch + 1 != self._epochs:
            return
        plots = filter_plots.plot_model_filters(self.model)
        if not plots:
            return
        self._writer = self._writer or _create_writer(self._folder, self._epochs_done)
        with self._writer.as_default():
            for name, plot in plots.items():
                tf.summary.image(name, plot[None], step=epoch + 1)
        self._writer.flush()

    def on_train_end(self, logs=None):
        if self._writer:
            self._writer.close()


class LogBackup:
    """Copies of the logs beside the checkpoints, for a training that resumes in another folder.

    Each execution of TFX's Trainer has a folder of its own, and that of a failed one is removed.

    Args:
        folder: folder of all logs of the training.
        backup: folder of the copies.
    """

    def __init__(self, folder: str, backup: str):
        self._folder, self._backup = folder, backup

    def save(self) -> None:
        """Copies all logs; called before the state of the training is saved."""
        _copy_logs(self._folder, self._backup, is_newer=True)

    def restore(self) -> None:
        """Copies back the logs that the folder does not have."""
        _copy_logs(self._backup, self._folder, is_newer=False)


def _copy_logs(source: str, target: str, is_newer: bool) -> None:
    """Copies the files of all runs; those that exist only if the source has the newer ones."""
    for run in (_TRAIN, _EVAL, _WEIGHTS):
        folder = os.path.join(source, run)
        for path in _list_logs(folder):
            copy = os.path.join(target, run, os.path.basename(path))
            has_copy = storage.exists(copy)
            if has_copy and not (is_newer and _differ(path, copy)):
                continue
            storage.make_folder(os.path.dirname(copy))
            storage.copy_file(path, copy)


def _differ(path: str, other: str) -> bool:
    """Whether one of two logs is longer; they are only ever appended to."""
    return storage.file_size(path) != storage.file_size(other)


def _list_logs(folder: str) -> list[str]:
    return storage.find_files(os.path.join(glob.escape(folder), "events.*"))


def _create_writer(folder: str, epochs_done: int) -> tf.summary.SummaryWriter:
    """Returns a writer to a folder from which all later epochs are removed.

    A TensorBoard that runs has read them already. It forgets them when it finds a START, of which
    it takes the first one for the start of the training, and each further one for a restart;
    `tf.summary` of TensorFlow 2 has no argument for it.
    """
    for path in _list_logs(folder):
        _remove_later_epochs(path, epochs_done)
    writer = tf.summary.create_file_writer(folder)
    start = tf.compat.v1.Event(
        wall_time=time.time(),
        step=epochs_done + 1,
        session_log=tf.compat.v1.SessionLog(status=tf.compat.v1.SessionLog.START),
    )
    tf.raw_ops.ImportEvent(writer=writer._resource, event=start.SerializeToString())
    return writer


def _remove_later_epochs(path: str, epochs_done: int) -> None:
    """Removes the epochs after `epochs_done` from a file; it is replaced by the shorter one."""
    records = [*_complete_records(path)]
    kept = [r for r in records if tf.compat.v1.Event.FromString(r).step <= epochs_done]
    if len(kept) == len(records):
        return
    with storage.replacing(path) as partial, tf.io.TFRecordWriter(partial) as writer:
        for record in kept:
            writer.write(record)


def _complete_records(path: str) -> Iterator[bytes]:
    """Yields the records of a file; the last one is incomplete where a process was killed."""
    try:
        yield from tf.data.TFRecordDataset(path).as_numpy_iterator()
    except tf.errors.DataLossError:
        return
