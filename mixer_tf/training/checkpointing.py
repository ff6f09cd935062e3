# SPDX-License-Identifier: Apache-2.0
"""The best weights of a training, and the checkpoint from which a killed training resumes."""

from __future__ import annotations

import io
import os
import time

import numpy as np
import tensorflow as tf

from mixer_tf import storage
from mixer_tf.training import cluster
from mixer_tf.training.ema import averaged_weights
from mixer_tf.training.tensorboard import LogBackup

SAVE_SECONDS = 5.0  # epochs of small datasets take less time than saving
_BEST_WEIGHTS = "best_weights.npz"


class BestWeights(tf.keras.callbacks.Callback):
    """Keeps, in memory, the weights of the epoch with the highest accuracy on `eval`.

    With an averaging optimizer these are the averaged weights, which are the evaluated ones.

    Attributes:
        best_accuracy: highest accuracy on `eval` so far; None without an evaluation.
        best_epoch: the epoch that reached it, from 1; without an evaluation, the latest epoch.
    """

    def __init__(self):
        super().__init__()
        self._best = tf.Variable([-1.0, np.inf, 0.0])  # accuracy, loss, epoch

    @property
    def best_accuracy(self) -> float | None:
        accuracy = float(self._best.numpy()[0])
        return accuracy if accuracy >= 0 else None

    @property
    def best_epoch(self) -> int:
        return int(self._best.numpy()[2])

    def restore(self) -> int:
        """Returns the number of epochs that an earlier run completed: none, it left nothing."""
        return 0

    def on_epoch_end(self, epoch, logs=None):
        if self._is_best(epoch + 1, logs.get("val_accuracy"), logs.get("val_loss")):
            self._keep(self.model)

    def _is_best(self, epoch: int, accuracy: float | None, loss: float | None) -> bool:
        """Of equal accuracies, which are frequent on a small split, the lower loss wins."""
        best_accuracy, best_loss, _ = self._best.numpy()
        if accuracy is None:
            accuracy, loss = -1.0, np.inf
        elif (accuracy, -loss) <= (best_accuracy, -best_loss):
            return False
        self._best.assign([accuracy, loss, epoch])
        return True

    def _keep(self, model: tf.keras.Model) -> None:
        with averaged_weights(model):
            self._weights = model.get_weights()

    def load_best(self, model: tf.keras.Model) -> None:
        """Gives `model` the weights of the best epoch."""
        model.set_weights(self._weights)

    def discard(self) -> None:
        """Removes what the training left on disk: nothing."""


class TrainingCheckpoint(BestWeights):
    """Saves weights, optimizer and epoch after an epoch, and the best weights on `eval`.

    Keras' BackupAndRestore and ModelCheckpoint do the same, but after a restart they do not know
    which epoch was the best, and they save the current weights where the average was evaluated.

    Args:
        model: built and compiled, with a built optimizer.
        folder: a folder for this training only; every worker must be able to read it.
        is_chief: whether this process writes the files that all workers share.
        logs: the logs of the training, of which each checkpoint keeps a copy; None for none.

    Raises:
        ValueError: TensorFlow would read the path of the folder as a pattern.
    """

    def __init__(
        self,
        model: tf.keras.Model,
        folder: str,
        is_chief: bool = True,
        logs: LogBackup | None = None,
    ):
        storage.require_literal(folder, "the folder of checkpoints")
        super().__init__()
        self._folder = folder
        self._logs = logs
        self._is_chief = is_chief
        self._epoch = tf.Variable(0, dtype=tf.int64)
        self._checkpoint = tf.train.Checkpoint(model=model, epoch=self._epoch, best=self._best)
        storage.make_folder(folder)
        self._manager = tf.train.CheckpointManager(self._checkpoint, folder, max_to_keep=1)
        # Saving requires all workers where the weights are distributed among them; TensorFlow
        # wants a different folder for each.
        own = folder if is_chief else os.path.join(folder, cluster.worker_name())
        self._writer = tf.train.CheckpointManager(self._checkpoint, own, max_to_keep=1)
        self._saved_at = time.monotonic()

    def restore(self) -> int:
        """Loads the checkpoint of an earlier run; returns the number of epochs it completed."""
        if not self._manager.latest_checkpoint:
            return 0
        self._checkpoint.restore(self._manager.latest_checkpoint).assert_existing_objects_matched()
        if self._logs:
            self._logs.restore()
        return int(self._epoch.numpy())

    def on_epoch_end(self, epoch, logs=None):
        self._epoch.assign(epoch + 1)
        super().on_epoch_end(epoch, logs)
        if time.monotonic() - self._saved_at > SAVE_SECONDS:
            self.save()

    def save(self) -> None:
        """Writes a checkpoint, and removes the one before it."""
        if self._logs:  # first: epochs that are only in the logs are repeated
            self._logs.save()
        self._writer.save()
        self._saved_at = time.monotonic()
        if not self._is_chief:
            storage.remove_folder(self._writer.directory)

    def _keep(self, model: tf.keras.Model) -> None:
        if not self._is_chief:
            return
        with averaged_weights(model):
            _write_weights(model.get_weights(), os.path.join(self._folder, _BEST_WEIGHTS))

    def load_best(self, model: tf.keras.Model) -> None:
        """Gives `model` the weights of the best epoch; only the chief has them."""
        if self._is_chief:
            model.set_weights(_read_weights(os.path.join(self._folder, _BEST_WEIGHTS)))

    def discard(self) -> None:
        """Removes the checkpoint and the best weights."""
        if not self._is_chief:
            return
        # First what names the checkpoint: a run that is killed in between leaves none, not a part.
        state = os.path.join(self._folder, "checkpoint")
        if storage.exists(state):
            tf.io.gfile.remove(state)
        storage.remove_folder(self._folder)


def _write_weights(weights: list[np.ndarray], path: str) -> None:
    buffer = io.BytesIO()  # zip files need to seek, which remote files cannot while written
    np.savez(buffer, *weights)
    storage.write_bytes(path, buffer.getvalue())


def _read_weights(path: str) -> list[np.ndarray]:
    arrays = np.load(io.BytesIO(storage.read_bytes(path)))
    return [arrays[name] for name in arrays.files]
