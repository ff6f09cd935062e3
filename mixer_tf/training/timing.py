# SPDX-License-Identifier: Apache-2.0
"""How long a training takes: forecast from its first ten seconds, and measured."""

from __future__ import annotations

import dataclasses
import time

import tensorflow as tf

from mixer_tf.training.length import TrainingLength

_FORECAST_SECONDS = 10.0


@dataclasses.dataclass(frozen=True)
class Timing:
    """The durations of a run of a training, in seconds.

    Attributes:
        seconds_per_step: mean of all steps but the first, which compiles; None without others.
        forecast: of the whole run, as it followed from its first ten seconds; None for a shorter
            run.
        forecast_per_step: the mean of these first steps; None as `forecast`.
    """

    seconds_per_step: float | None = None
    forecast: float | None = None
    forecast_per_step: float | None = None


class StepTimes(tf.keras.callbacks.Callback):
    """Measures the steps and the ends of epochs.

    Args:
        length: the length of the whole training.
        first_step, first_epoch: numbers of those that an earlier run has done.
        begin: `time.monotonic()` at the start of the run.
    """

    _supports_tf_logs = True  # otherwise Keras fetches the loss of every step, for all callbacks

    def __init__(self, length: TrainingLength, first_step: int, first_epoch: int, begin: float):
        super().__init__()
        self._length, self._begin = length, begin
        self._first_step, self._first_epoch = first_step, first_epoch
        self._steps, self._in_steps, self._end = 0, 0.0, None
        self._compiled_at: float | None = None
        self._forecast: tuple[float, float] | None = None

    @property
    def timing(self) -> Timing:
        """What was measured so far."""
        per_step = self._in_steps / self._steps if self._steps else None
        return Timing(per_step, *(self._forecast or ()))

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch, self._before = epoch, self._length.end(epoch)

    def on_train_batch_begin(self, batch, logs=None):
        self._start = time.monotonic()
        if self._end is None:
            self._done = self._before + batch

    def on_train_batch_end(self, batch, logs=None):
        self._end, done = time.monotonic(), self._before + batch + 1
        if self._compiled_at is None:
            self._compiled_at = self._end
        else:
            self._steps += done - self._done
            self._in_steps += self._end - self._start
        self._done = done
        is_time = self._end - self._compiled_at > _FORECAST_SECONDS
        if is_time and self._forecast is None and self._steps:
            self._forecast = self._project()

    def _project(self) -> tuple[float, float]:
        """Returns the seconds of the whole run, and of a step.

        The ends of epochs take as long on average as those that were seen; where there was none,
        they are left out.
        """
        per_step = self._in_steps / self._steps
        elapsed = self._end - self._begin
        ended = self._epoch - self._first_epoch
        between = self._end - self._compiled_at - self._in_steps
        per_epoch = between / ended if ended > 0 else 0.0
        epochs_left = self._length.epochs - self._epoch
        steps_left = self._length.steps - self._done
        return elapsed + steps_left * per_step + epochs_left * per_epoch, per_step
