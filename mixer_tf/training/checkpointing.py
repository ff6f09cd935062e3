# SPDX-License-Identifier: Apache-2.0
"""The best weights of a training, and the checkpoints from which it resumes at any step."""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Mapping
from typing import Protocol

import numpy as np
import tensorflow as tf

from mixer_tf import storage
from mixer_tf.training import cluster, distribution, lost_workers, metric_state
from mixer_tf.training.checkpoint_files import (
    CheckpointFiles,
    CorruptCheckpointError,
    checkpoint_name,
)
from mixer_tf.training.checkpoint_options import CheckpointOptions
from mixer_tf.training.ema import averaged_weights
from mixer_tf.training.interruption import StopSignals, TrainingStopped
from mixer_tf.training.length import TrainingLength
from mixer_tf.training.loop import Position
from mixer_tf.training.reporting import reason, warn
from mixer_tf.training.tensorboard import LogBackup

# After an epoch, a training saves if it has not done so for this long: epochs of small datasets
# take less time than saving. It is longer where saving takes long, so that it takes at most 5 %.
SAVE_SECONDS = 5.0

_AGREE_STEPS = 10  # several workers agree on what to do after this many steps
_NOTHING, _SAVE = 0, 1  # what to do after a step; other numbers are signals


class Stateful(Protocol):
    """What a callback, for example, offers to continue where it was after a restart."""

    def get_state(self) -> object:
        """Returns what JSON can store."""

    def set_state(self, state) -> None:
        """Takes what `get_state` has returned."""


class StopRequested(Exception):
    """Ends the loop after a signal; `args` has the number of the signal."""


class BestWeights(tf.keras.callbacks.Callback):
    """Keeps, in memory, the weights of the epoch with the highest accuracy on `eval`.

    With an averaging optimizer these are the averaged weights, which are the evaluated ones.

    Args:
        patience: end the training after this many epochs without a better one; None to never do so.

    Attributes:
        best_accuracy: highest accuracy on `eval` so far; None without an evaluation.
        best_epoch: the epoch that reached it, from 1; without an evaluation, the latest epoch.
    """

    def __init__(self, patience: int | None = None):
        super().__init__()
        self._patience = patience
        self.best_accuracy: float | None = None
        self.best_epoch = 0
        self._loss = math.inf
        self._weights: list[np.ndarray] = []

    def restore(self) -> Position:
        """Returns how far an earlier run came: it left nothing."""
        return Position()

    def is_exhausted(self, epochs: int) -> bool:
        """Whether the training ends after a number of epochs because none was better."""
        return self._patience is not None and epochs - self.best_epoch >= self._patience

    def on_epoch_end(self, epoch, logs=None):
        if self._is_best(epoch + 1, logs.get("val_accuracy"), logs.get("val_loss")):
            with averaged_weights(self.model):
                self._weights = self.model.get_weights()
        self.model.stop_training |= self.is_exhausted(epoch + 1)

    def _is_best(self, epoch: int, accuracy: float | None, loss: float | None) -> bool:
        """Of equal accuracies, which are frequent on a small split, the lower loss wins."""
        best = -1.0 if self.best_accuracy is None else self.best_accuracy
        loss = math.inf if loss is None or math.isnan(loss) else loss  # NaN compares with nothing
        if accuracy is not None and (accuracy, -loss) <= (best, -self._loss):
            return False
        self.best_accuracy, self._loss, self.best_epoch = accuracy, loss, epoch
        return True

    def load_best(self, model: tf.keras.Model) -> None:
        """Gives `model` the weights of the best epoch."""
        model.set_weights(self._weights)

    def discard(self) -> None:
        """Removes what the training left on disk: nothing."""


class TrainingCheckpoint(BestWeights):
    """Saves the whole state of a training, so that it resumes after any step.

    Keras' BackupAndRestore and ModelCheckpoint do not know, after a restart, which epoch was the
    best, what the metrics have counted and how far the data were read, and they save the current
    weights where the average was evaluated.

    It must be the last callback: what the others do at the end of an epoch is done when it saves.

    Args:
        model: built and compiled, with a built optimizer.
        folder: a folder for this training only; every worker must be able to read it.
        length: the length of the training.
        identity: what makes it this training, such as its recipe; JSON.
        options: when to save.
        signals: asks to stop; None if nothing does.
        is_chief: whether this process writes the files that all workers share.
        logs: the logs of the training, of which each checkpoint keeps a copy; None for none.
        stateful: what else continues after a restart, such as callbacks, by name.

    Raises:
        ValueError: TensorFlow would read the path of the folder as a pattern.
    """

    _supports_tf_logs = True

    def __init__(
        self,
        model: tf.keras.Model,
        folder: str,
        length: TrainingLength,
        identity: object = None,
        *,
        options: CheckpointOptions | None = None,
        signals: StopSignals | None = None,
        is_chief: bool = True,
        logs: LogBackup | None = None,
        stateful: Mapping[str, Stateful] | None = None,
    ):
        storage.require_literal(folder, "the folder of checkpoints")
        super().__init__(length.patience)
        storage.make_folder(folder)
        self.set_model(model)
        self._files = CheckpointFiles(folder)
        self._tensors = tf.train.Checkpoint(model=model)
        self._length, self._identity = length, identity
        self._options, self._signals = options or CheckpointOptions(), signals or StopSignals()
        self._is_chief, self._logs, self._stateful = is_chief, logs, stateful or {}
        self._needs_agreement = distribution.has_several_workers(model.distribute_strategy)
        self._position, self._saved = Position(), Position()
        self._tried_step, self._saved_at, self._cost = 0, time.monotonic(), 0.0

    @property
    def saved_step(self) -> int:
        """The number of steps that are done in the last checkpoint."""
        return self._saved.step

    def restore(self) -> Position:
        """Loads the latest checkpoint of an earlier run, and returns how far it came.

        One that is incomplete or corrupt is removed with a warning, and the one before is loaded.

        Raises:
            ValueError: the folder holds the checkpoints of another training.
            OSError: a checkpoint cannot be read, for another reason than damage; all of them stay.
            ConnectionError: other workers have found another checkpoint.
        """
        for name in self._files.names():
            try:
                state, weights = self._read(name)
            except CorruptCheckpointError as error:
                self._skip(name, error)
                continue
            self._restore(name, state, weights)
            break
        if self._is_chief:
            self._files.prune(self._options.keep)
        if self._needs_agreement:
            self._require_same_position()
        self._tried_step, self._saved_at = self._position.step, time.monotonic()
        return self._position

    def _require_same_position(self) -> None:
        own = [self._position.step, self._position.epochs]
        found = distribution.gather(self.model.distribute_strategy, own)
        if any(each != own for each in found):
            positions = sorted({(step, epochs) for step, epochs in found})
            shown = ", ".join(f"step {step:,} (epochs: {epochs:,})" for step, epochs in positions)
            raise ConnectionError(
                "all workers must resume from the same checkpoint; they would resume after "
                f"{shown}. Share the folder {self._files.folder} among all machines, then run the "
                "same command on all of them again."
            )

    def _read(self, name: str) -> tuple[dict, list[np.ndarray]]:
        """Returns the state of a checkpoint and the best weights; see `restore`."""
        try:
            state = self._files.read_state(name)
            epoch = state["best"]["epoch"]
            return state, self._files.read_best(epoch) if epoch else []
        except OSError as error:
            raise OSError(
                f"the checkpoint {self._path(name)} must be readable to resume from it; got: "
                f"{reason(error)}. It was left as it is. Run the same command again when it can be "
                "read."
            ) from error

    def _path(self, name: str) -> str:
        return os.path.join(self._files.folder, name)

    def _skip(self, name: str, error: Exception) -> None:
        if not self._is_chief:
            return
        warn(
            f"the checkpoint {self._path(name)} is incomplete or corrupt "
            f"({reason(error)}); it is removed, and the one before it is used, if any."
        )
        self._files.remove(name)

    def _restore(self, name: str, state: dict, weights: list[np.ndarray]) -> None:
        if state["identity"] != self._identity:
            raise ValueError(
                "the folder of checkpoints must be new, or hold those of the same recipe and data; "
                f"{self._files.folder} holds those of another training. Name another folder."
            )
        tensors = self._tensors.read(self._files.tensors(name))
        tensors.assert_existing_objects_matched()
        metric_state.write(self.model, state["metrics"])
        self._weights = weights
        self.best_accuracy, self._loss, self.best_epoch = (
            state["best"][key] for key in ("accuracy", "loss", "epoch")
        )
        for key, each in self._stateful.items():
            if key in state["callbacks"]:  # otherwise it is new
                each.set_state(state["callbacks"][key])
        self._position = self._saved = Position(state["step"], state["epochs"], state["logs"])
        if self._logs:
            self._logs.restore()

    def on_train_batch_end(self, batch, logs=None):
        epoch, before = self._position.epochs, self._position.step
        self._position = Position(self._length.end(epoch) + batch + 1, epoch, logs)
        self._signals.can_wait = True
        if not self._needs_agreement:
            self._do(self._wish())
        elif self._position.step // _AGREE_STEPS > before // _AGREE_STEPS:
            self._do(distribution.maximum(self.model.distribute_strategy, self._wish()))

    def on_test_batch_end(self, batch, logs=None):
        if self._signals.received and not self._needs_agreement:
            raise StopRequested(self._signals.received)

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        self._position = Position(self._length.end(epoch + 1), epoch + 1)
        wish = self._wish(SAVE_SECONDS * max(1, 4 * self._cost))
        if self._needs_agreement:
            wish = distribution.maximum(self.model.distribute_strategy, wish)
        self._do(wish)

    def _wish(self, seconds: float = math.inf) -> int:
        """Returns what this worker wants to do now.

        Args:
            seconds: the time since the last save after which it saves, if it is less than usual.
        """
        if self._signals.received:
            return self._signals.received
        if not self._is_chief:
            return _NOTHING
        elapsed = time.monotonic() - self._saved_at
        steps = self._options.steps or self._length.steps + 1
        is_due = self._position.step // steps > self._tried_step // steps
        return _SAVE if is_due or elapsed > min(seconds, 60 * self._options.minutes) else _NOTHING

    def _do(self, wish: int) -> None:
        if wish == _SAVE:
            self.save()
        elif wish != _NOTHING:
            raise StopRequested(wish)

    def save(self) -> bool:
        """Writes a checkpoint and removes old ones; returns whether that worked.

        If it does not, such as on a full disk, a warning says so; the earlier ones stay.
        """
        start = time.monotonic()
        metrics = metric_state.read(self.model)
        try:
            self._write(metrics)
        except (OSError, tf.errors.OpError) as error:
            if lost_workers.is_lost(error):
                raise
            self._remove_leftovers()
            warn(
                f"the checkpoint after step {self._position.step:,} cannot be written "
                f"({reason(error)}); a restart would resume after step {self._saved.step:,}."
            )
            return False
        finally:
            self._tried_step, self._saved_at = self._position.step, time.monotonic()
            self._cost = self._saved_at - start
        self._saved = self._position
        return True

    def _write(self, metrics: metric_state.Values) -> None:
        if not self._is_chief:
            return self._take_part()
        if self._logs:  # first: epochs that are only in the logs are repeated
            self._logs.save()
        if self.best_epoch:
            self._files.write_best(self.best_epoch, self._weights)
        name = checkpoint_name(self._position.step, self._position.epochs)
        self._files.write(name, self._tensors.write, self._state(metrics))
        self._files.prune(self._options.keep)

    def _take_part(self) -> None:
        """Saving requires all workers where the weights are distributed among them.

        TensorFlow wants a different folder for each.
        """
        own = os.path.join(self._files.folder, cluster.worker_name())
        try:
            storage.make_folder(own)
            self._tensors.write(os.path.join(own, "tensors"))
        finally:
            storage.remove_folder(own)

    def _remove_leftovers(self) -> None:
        """Removes what no checkpoint names, such as best weights, after one was not written."""
        with contextlib.suppress(OSError, tf.errors.OpError):
            if self._is_chief:
                self._files.prune(self._options.keep)

    def _state(self, metrics: metric_state.Values) -> dict:
        step, epochs, logs = self._position.step, self._position.epochs, self._position.logs
        best = {"accuracy": self.best_accuracy, "loss": self._loss, "epoch": self.best_epoch}
        return {
            "identity": self._identity,
            "step": step,
            "epochs": epochs,
            "logs": logs and {name: float(value) for name, value in logs.items()},
            "metrics": metrics,
            "best": best,
            "callbacks": {key: each.get_state() for key, each in self._stateful.items()},
        }

    def stop(self, number: int) -> TrainingStopped:
        """Saves after a signal, and returns what to raise."""
        step, steps = self._position.step, self._length.steps
        if self._position.step > self._saved.step or self._position.epochs > self._saved.epochs:
            self.save()
        saved = (
            "which is saved" if self.saved_step == step else f"step {self.saved_step:,} is saved"
        )
        return TrainingStopped(number, f" after step {step:,} of {steps:,}, {saved}")

    def discard(self) -> None:
        """Removes the checkpoints and the best weights."""
        if self._is_chief:
            self._files.discard()
