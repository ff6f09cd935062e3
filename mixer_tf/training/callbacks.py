# SPDX-License-Identifier: Apache-2.0
"""What a training reports while it runs: throughput, divergence, progress and a history."""

from __future__ import annotations

import math
import sys
import time

import tensorflow as tf

from mixer_tf.console import format_duration
from mixer_tf.training import reporting
from mixer_tf.training.forecast import Forecast, speed_line
from mixer_tf.training.input.wait import InputWait
from mixer_tf.training.length import TrainingLength
from mixer_tf.training.timing import StepTimes

_MAX_LINES = 10  # of a short training whose output is not a terminal
_LINE_SECONDS = 60.0  # a longer one has a line after so many seconds, also within an epoch
_REFRESH_SECONDS = 0.1
_CHECK_STEPS = 100


class TrainingDivergedError(ArithmeticError):
    """The loss became infinite or not a number."""


class Throughput(tf.keras.callbacks.Callback):
    """Adds `examples_per_second` and `learning_rate` to the logs, for all callbacks after it.

    Also `input_wait`, the fraction of the time for which the training waited for its input. The
    first step of an epoch is excluded, because it compiles.

    Args:
        batch_size: examples per step.
        input_wait: what measures the wait for the input; None to leave it out.
    """

    _supports_tf_logs = True  # otherwise Keras fetches the loss of every step, for all callbacks

    def __init__(self, batch_size: int, input_wait: InputWait | None = None):
        super().__init__()
        self._batch_size, self._wait = batch_size, input_wait

    def on_epoch_begin(self, epoch, logs=None):
        self._steps, self._first, self._start, self._end = 0, None, None, 0.0

    def on_train_batch_begin(self, batch, logs=None):
        # Not at the end of the first step, after which other callbacks have their first work.
        if self._start is None and self._first is not None:
            self._start = time.monotonic()
            self._waited = self._wait.seconds if self._wait else 0.0

    def on_train_batch_end(self, batch, logs=None):
        self._end = time.monotonic()
        if self._first is None:
            self._first = batch
        self._steps = batch - self._first

    def on_epoch_end(self, epoch, logs=None):
        if self._steps:
            is_measured = self._wait and self._wait.is_measured
            waited = self._wait.seconds - self._waited if is_measured else None
            seconds = self._end - self._start
            logs.update(throughput(self._steps * self._batch_size, seconds, waited))
        logs["learning_rate"] = float(self.model.optimizer.learning_rate.numpy())


def throughput(examples: int, seconds: float, waited: float | None) -> dict[str, float]:
    """Returns `examples_per_second` and `input_wait` for the logs.

    Args:
        examples: number of examples.
        seconds: in which they were trained on; nothing is returned if it is 0.
        waited: how much of it was waited for input; None if that was not measured.
    """
    if seconds <= 0:
        return {}
    found = {"examples_per_second": examples / seconds}
    if waited is not None:
        # The input of the step after these may have been requested ahead.
        found["input_wait"] = min(waited / seconds, 1.0)
    return found


class TerminateOnDivergence(tf.keras.callbacks.Callback):
    """Raises TrainingDivergedError if the loss is not finite; checks about every 100 steps."""

    _supports_tf_logs = True

    def on_epoch_begin(self, epoch, logs=None):
        self._next_check = 0

    def on_train_batch_end(self, batch, logs=None):
        if batch >= self._next_check:  # on a TPU, only every 50th step is reported
            self._check(logs["loss"])
            self._next_check = batch + _CHECK_STEPS

    def on_epoch_end(self, epoch, logs=None):
        self._check(logs["loss"])

    def _check(self, loss) -> None:
        if math.isfinite(loss):
            return
        learning_rate = float(self.model.optimizer.learning_rate.numpy())
        optimizer = getattr(self.model.optimizer, "inner_optimizer", self.model.optimizer)
        peak = getattr(optimizer, "peak_learning_rate", learning_rate)
        raise TrainingDivergedError(
            f"the loss must stay finite; got {float(loss)} by step "
            f"{int(self.model.optimizer.iterations.numpy())} at a learning rate of "
            f"{learning_rate:.2g}. Lower it, for example with "
            f"--set optimizer.learning_rate={peak / 3:.1g}."
        )


class ProgressBar(tf.keras.callbacks.Callback):
    """One line that is rewritten on a terminal; elsewhere a new line every few epochs or minutes.

    Args:
        length: the length of the whole training.
        times: what measures the steps, called before this; None to show a speed per epoch alone.
        batch_size: images per step.
        stream: the text stream to write to; None for standard output.
    """

    _supports_tf_logs = True

    def __init__(
        self,
        length: TrainingLength,
        times: StepTimes | None = None,
        batch_size: int = 1,
        stream=None,
    ):
        super().__init__()
        self._length, self._times, self._batch_size = length, times, batch_size
        self._stream = stream or sys.stdout
        self._compiled: tuple[int, float] | None = None  # the first step of the run, and its end
        self._every = 1 if self._is_terminal() else math.ceil(length.epochs / _MAX_LINES)
        self._evaluation = ""

    def on_train_begin(self, logs=None):
        self._shown_at = -math.inf if self._is_terminal() else time.monotonic()

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        step = self._length.end(self._epoch) + batch + 1
        self._compiled = self._compiled or (step, time.monotonic())
        if self._is_due(_REFRESH_SECONDS if self._is_terminal() else _LINE_SECONDS):
            line = self._line(self._epoch, step, float(logs["loss"]))
            self._show(line + _images_per_second(self._measured_speed()))

    def on_epoch_end(self, epoch, logs=None):
        if "val_accuracy" in logs:
            self._evaluation = f"  eval accuracy {float(logs['val_accuracy']):.3f}"
        is_last = epoch + 1 == self._length.epochs
        if (epoch + 1) % self._every and not is_last and not self._is_due(_LINE_SECONDS):
            return
        line = self._line(epoch, self._length.end(epoch + 1), float(logs["loss"]))
        self._show(line + _images_per_second(logs.get("examples_per_second")))

    def on_train_end(self, logs=None):
        if self._is_terminal():
            self._write("\n")

    def _line(self, epoch: int, step: int, loss: float) -> str:
        """Returns the line after a step, counted from the start of the whole training."""
        first, end = self._compiled or (step, 0.0)
        done, left = step - first, self._length.steps - step
        seconds = (time.monotonic() - end) / max(done, 1) * left
        eta = f"  {format_duration(seconds)} left" if done and left else ""
        return f"epoch {epoch + 1}/{self._length.epochs}  loss {loss:.4f}{self._evaluation}{eta}"

    def _measured_speed(self) -> float | None:
        per_step = self._times and self._times.timing.seconds_per_step
        return self._batch_size / per_step if per_step else None

    def _is_terminal(self) -> bool:
        return self._stream.isatty()

    def _is_due(self, seconds: float) -> bool:
        """Whether nothing was shown for so long."""
        return time.monotonic() - self._shown_at > seconds

    def _show(self, line: str) -> None:
        self._shown_at = time.monotonic()
        self._write(f"\r\x1b[K{line}" if self._is_terminal() else f"{line}\n")

    def _write(self, text: str) -> None:
        reporting.write(self._stream, text)


def _images_per_second(speed: float | None) -> str:
    return f"  {speed:,.0f} images/s" if speed else ""


class SpeedLine(tf.keras.callbacks.Callback):
    """Shows once, after the first ten seconds, how fast the training is and how long it takes.

    Args:
        times: what forecasts it, called before this.
        batch_size: images per step.
        planned: what was planned; None without a plan.
        resumed: whether the run continues an earlier one.
        evaluates: whether epochs end with an evaluation.
        stream: the text stream to write to; None for standard output.
    """

    _supports_tf_logs = True

    def __init__(
        self,
        times: StepTimes,
        batch_size: int,
        planned: Forecast | None = None,
        *,
        resumed: bool = False,
        evaluates: bool = False,
        stream=None,
    ):
        super().__init__()
        self._times, self._batch_size, self._planned = times, batch_size, planned
        self._resumed, self._lacks_evaluations = resumed, evaluates
        self._stream = stream or sys.stdout
        self._is_shown = False

    def on_train_batch_end(self, batch, logs=None):
        if self._is_shown or self._times.forecast is None:
            return
        self._is_shown = True
        line = speed_line(
            *(self._times.forecast, self._batch_size, self._planned),
            resumed=self._resumed,
            lacks_evaluations=self._lacks_evaluations,
        )
        start = "\r\x1b[K" if self._stream.isatty() else ""  # where the progress is shown
        reporting.write(self._stream, f"{start}{line}\n")

    def on_epoch_end(self, epoch, logs=None):
        self._lacks_evaluations = False


class History(tf.keras.callbacks.Callback):
    """Keeps the logs of each epoch, with what the callbacks before it have added.

    Attributes:
        epochs: for each epoch, name of a metric -> value.
    """

    _supports_tf_logs = True

    def __init__(self):
        super().__init__()
        self.epochs: list[dict[str, float]] = []

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append({name: float(value) for name, value in logs.items()})

    def get_state(self) -> list[dict[str, float]]:
        """Returns what a checkpoint stores."""
        return self.epochs

    def set_state(self, epochs: list[dict[str, float]]) -> None:
        """Takes the epochs of an earlier run."""
        self.epochs = list(epochs)
