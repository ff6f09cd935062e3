# SPDX-License-Identifier: Apache-2.0
"""What a training leaves on disk while it runs, so that a killed one goes on where it was."""

from __future__ import annotations

import io
import os
import time

import numpy as np
import tensorflow as tf

from mixer_tf.training import cluster
from mixer_tf.training.ema import averaged_weights

SAVE_SECONDS = 5.0  # epochs of small data are over faster than they are saved
_BEST = "best_weights.npz"


class TrainingCheckpoint(tf.keras.callbacks.Callback):
    """Saves weights, optimiser and epoch after an epoch, and the best weights on `eval`.

    Keras' BackupAndRestore and ModelCheckpoint do the same, but forget at a restart which epoch
    was the best, and save the weights where their average was evaluated.

    Args:
        model: built and compiled.
        folder: of this training alone; every worker must be able to read it.
        is_chief: whether this process is the one that writes it.

    Attributes:
        best_accuracy: highest accuracy on `eval` so far; None without an evaluation.
        best_epoch: in which it was reached, from 1; without an evaluation, the latest.
    """

    def __init__(self, model: tf.keras.Model, folder: str, is_chief: bool = True):
        super().__init__()
        self._folder = folder
        self._is_chief = is_chief
        self._epoch = tf.Variable(0, dtype=tf.int64)
        self._best = tf.Variable([-1.0, np.inf, 0.0])  # accuracy, loss, epoch
        model.optimizer.build(model.trainable_variables)
        self._checkpoint = tf.train.Checkpoint(model=model, epoch=self._epoch, best=self._best)
        tf.io.gfile.makedirs(folder)
        self._manager = tf.train.CheckpointManager(self._checkpoint, folder, max_to_keep=1)
        # Where weights live on several machines, all of them must take part in saving.
        own = folder if is_chief else os.path.join(folder, cluster.worker_name())
        self._writer = tf.train.CheckpointManager(self._checkpoint, own, max_to_keep=1)
        self._saved_at = time.monotonic()

    @property
    def best_accuracy(self) -> float | None:
        accuracy = float(self._best.numpy()[0])
        return accuracy if accuracy >= 0 else None

    @property
    def best_epoch(self) -> int:
        return int(self._best.numpy()[2])

    def restore(self) -> int:
        """Loads what an earlier run left behind; returns how many epochs it had done."""
        if not self._manager.latest_checkpoint:
            return 0
        self._checkpoint.restore(self._manager.latest_checkpoint).assert_existing_objects_matched()
        return int(self._epoch.numpy())

    def on_epoch_end(self, epoch, logs=None):
        self._epoch.assign(epoch + 1)
        self._keep_if_best(epoch + 1, logs.get("val_accuracy"), logs.get("val_loss"))
        if time.monotonic() - self._saved_at > SAVE_SECONDS:
            self.save()

    def _keep_if_best(self, epoch: int, accuracy: float | None, loss: float | None) -> None:
        """Of equal accuracies the lower loss wins: a small split has many equal ones."""
        best_accuracy, best_loss, _ = self._best.numpy()
        if accuracy is None:
            accuracy, loss = -1.0, np.inf
        elif (accuracy, -loss) <= (best_accuracy, -best_loss):
            return
        self._best.assign([accuracy, loss, epoch])
        if self._is_chief:
            with averaged_weights(self.model):
                _write_weights(self.model.get_weights(), os.path.join(self._folder, _BEST))

    def save(self) -> None:
        self._writer.save()
        self._saved_at = time.monotonic()
        if not self._is_chief:
            tf.io.gfile.rmtree(self._writer.directory)

    def load_best(self, model: tf.keras.Model) -> None:
        """Gives `model` the weights of the best epoch."""
        model.set_weights(_read_weights(os.path.join(self._folder, _BEST)))

    def clear(self) -> None:
        """Forgets the training, so that the next one starts anew."""
        if self._is_chief and tf.io.gfile.exists(self._folder):
            tf.io.gfile.rmtree(self._folder)


def _write_weights(weights: list[np.ndarray], path: str) -> None:
    buffer = io.BytesIO()  # zip files want to seek, which GFile cannot while it writes
    np.savez(buffer, *weights)
    with tf.io.gfile.GFile(path + ".partial", "wb") as file:
        file.write(buffer.getvalue())
    tf.io.gfile.rename(path + ".partial", path, overwrite=True)


def _read_weights(path: str) -> list[np.ndarray]:
    with tf.io.gfile.GFile(path, "rb") as file:
        arrays = np.load(io.BytesIO(file.read()))
    return [arrays[name] for name in arrays.files]
