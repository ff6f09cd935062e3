# SPDX-License-Identifier: Apache-2.0
"""Scalars within long epochs, so that the curves of a training have points before its first end."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

import tensorflow as tf

from mixer_tf.training.callbacks import throughput
from mixer_tf.training.input.wait import InputWait
from mixer_tf.training.length import TrainingLength
from mixer_tf.training.tensorboard.event_files import RunLog
from mixer_tf.training.tensorboard.scalars import EVALUATION_PREFIX, tag_of

STEPS = "train_steps"
_LEAST_STEPS = 50  # between two points
_MAX_POINTS_OF_EPOCH, _MAX_POINTS = 100, 5000


def steps_between_points(length: TrainingLength) -> int | None:
    """Returns after how many steps of an epoch a point follows; None for short epochs.

    It is 50, or more where an epoch would have over 100 points or the training over 5,000. An epoch
    is short if it has less than twice as many steps.
    """
    steps = length.steps / length.epochs
    least = max(steps / _MAX_POINTS_OF_EPOCH, length.steps / _MAX_POINTS, _LEAST_STEPS)
    return math.ceil(least) if steps >= 2 * math.ceil(least) else None


class LastPoint:
    """The last point of an unfinished epoch, which a checkpoint stores.

    Attributes:
        step: the number of steps of the epoch that it comes after; 0 without a point.
        means: the means of Keras' logs over these steps.
    """

    def __init__(self):
        self.step, self.means = 0, {}

    def get_state(self) -> list:
        """Returns what a checkpoint stores."""
        return [self.step, self.means]

    def set_state(self, state: list) -> None:
        """Takes the point of an earlier run."""
        self.step, self.means = state

    def advance(self, step: int, means: Mapping[str, float]) -> dict[str, float]:
        """Moves to a later point, and returns the means over the steps between the two."""
        count = step - self.step
        between = {
            name: (step * mean - self.step * self.means.get(name, 0.0)) / count
            for name, mean in means.items()
        }
        self.step, self.means = step, dict(means)
        return between


class StepScalars(tf.keras.callbacks.Callback):
    """Writes `train_steps/…`: what `TensorBoardScalars` writes of the training, within epochs.

    Each point has the means over the steps since the one before, or since the start of the epoch.
    The last point of an epoch is at its end.

    Args:
        log: the run.
        length: the length of the whole training.
        batch_size: examples per step.
        input_wait: what measures the wait for the input.
        last: the last point; that of a checkpoint where a training resumes.
    """

    _supports_tf_logs = True

    def __init__(
        self,
        log: RunLog,
        length: TrainingLength,
        batch_size: int,
        input_wait: InputWait,
        last: LastPoint,
    ):
        super().__init__()
        self._log, self._length, self._last = log, length, last
        self._batch_size, self._wait = batch_size, input_wait
        self._every = steps_between_points(length)
        self._is_compiled = False

    def on_epoch_begin(self, epoch, logs=None):
        self._before = self._length.end(epoch)
        self._steps = self._length.end(epoch + 1) - self._before
        self._clock, self._speed = None, {}

    def on_train_batch_begin(self, batch, logs=None):
        if self._clock is None and self._is_compiled:
            self._clock = batch, time.monotonic(), self._wait.seconds
        self._is_compiled = True

    def on_train_batch_end(self, batch, logs=None):
        step = batch + 1
        if not self._every or not self._is_due(step):
            return
        means = {name: float(value) for name, value in logs.items()}  # waits for the device
        self._speed = self._measure(step)
        if step < self._steps:  # the end of the epoch may be logged again, where a run resumes
            self._write(step, means)

    def on_epoch_end(self, epoch, logs=None):
        if self._every and self._last.step < self._steps:
            self._write(self._steps, _means_of_training(logs))
        self._last.set_state([0, {}])

    def _is_due(self, step: int) -> bool:
        if step == self._steps:
            return True
        is_multiple = step // self._every > self._last.step // self._every
        return is_multiple and self._steps - step > self._every / 2

    def _measure(self, step: int) -> dict[str, float]:
        if self._clock is None:
            return {}
        first, start, waited = self._clock
        self._clock = step, time.monotonic(), self._wait.seconds
        waited = self._wait.seconds - waited if self._wait.is_measured else None
        return throughput((step - first) * self._batch_size, self._clock[1] - start, waited)

    def _write(self, step: int, means: Mapping[str, float]) -> None:
        learning_rate = float(self.model.optimizer.learning_rate.numpy())
        values = self._last.advance(step, means)
        values = {**values, **self._speed, "learning_rate": learning_rate}
        for name, value in values.items():
            self._log.write_scalar(tag_of(name, STEPS), value, self._before + step)
        self._log.flush()


def _means_of_training(logs: Mapping[str, float]) -> dict[str, float]:
    """Returns what the steps of an epoch have logged, of all that is known at its end."""
    added = ("learning_rate", *throughput(1, 1.0, 0.0))
    return {
        name: float(value)
        for name, value in logs.items()
        if not name.startswith(EVALUATION_PREFIX) and name not in added
    }
