# SPDX-License-Identifier: Apache-2.0
"""How long a training takes: forecast from its first ten seconds, and measured."""

from __future__ import annotations

import dataclasses
import time

import tensorflow as tf

from mixer_tf.training.forecast import Forecast
from mixer_tf.training.length import TrainingLength

_FORECAST_SECONDS = 10.0
# Where one epoch has ended by then, the next one is waited for, for at most this long: the end of
# the first takes longer, because its evaluation compiles.
_MOST_FORECAST_SECONDS = 30.0


@dataclasses.dataclass(frozen=True)
class Timing:
    """The durations of a run of a training, in seconds.

    Attributes:
        seconds_per_step: mean of all steps but the first, which compiles; None without others.
        forecast: as it followed from the first ten seconds, or the first epochs; None for a shorter
            run.
    """

    seconds_per_step: float | None = None
    forecast: Forecast | None = None


class StepTimes(tf.keras.callbacks.Callback):
    """Measures the steps and the ends of epochs.

    Args:
        length: the length of the whole training.
        begin: `time.monotonic()` at the start of the run.

    Attributes:
        forecast: what the first steps forecast; None before.
    """

    _supports_tf_logs = True  # otherwise Keras fetches the loss of every step, for all callbacks

    def __init__(self, length: TrainingLength, begin: float):
        super().__init__()
        self._length, self._begin = length, begin
        self._steps, self._in_steps, self._done = 0, 0.0, None
        self._compiled_at: float | None = None
        self._last_end: float | None = None  # of a step, where its end is the start of the next
        self._ends: list[float] = []  # what the ends of epochs took
        self.forecast: Forecast | None = None

    @property
    def timing(self) -> Timing:
        """What was measured so far."""
        per_step = self._in_steps / self._steps if self._steps else None
        return Timing(per_step, self.forecast)

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch, self._before = epoch, self._length.end(epoch)
        if self._last_end is not None:
            self._ends.append(time.monotonic() - self._last_end)
        self._last_end = None

    def on_train_batch_begin(self, batch, logs=None):
        # What callbacks do after a step counts, but not after the first one of the run.
        self._start = self._last_end or time.monotonic()
        if self._done is None:
            self._done = self._before + batch

    def on_train_batch_end(self, batch, logs=None):
        is_time = self.forecast is None and self._is_time()
        if is_time:
            float(logs["loss"])  # waits for the device, which may be steps behind
        end, before = time.monotonic(), self._done
        self._done = self._before + batch + 1
        if self._compiled_at is None:
            self._compiled_at = end
            return
        self._steps += self._done - before
        self._in_steps += end - self._start
        self._last_end = end
        if is_time:
            self.forecast = self._project(end)

    def _is_time(self) -> bool:
        if self._compiled_at is None:
            return False
        seconds = _MOST_FORECAST_SECONDS if len(self._ends) == 1 else _FORECAST_SECONDS
        return time.monotonic() - self._compiled_at > seconds

    def _project(self, now: float) -> Forecast:
        """Returns what the whole run takes.

        The ends of epochs take as long on average as those that were seen after the first one;
        where there was none, they are left out.
        """
        per_step = self._in_steps / self._steps
        ends = self._ends[1:] or self._ends
        per_epoch = sum(ends) / len(ends) if ends else 0.0
        epochs_left = self._length.epochs - self._epoch
        steps_left = self._length.steps - self._done
        left = steps_left * per_step + epochs_left * per_epoch
        return Forecast(now - self._begin + left, per_step)
