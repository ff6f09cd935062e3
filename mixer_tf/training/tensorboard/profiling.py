# SPDX-License-Identifier: Apache-2.0
"""A trace of some training steps for TensorBoard's profiler."""

from __future__ import annotations

import tensorflow as tf

from mixer_tf.training.length import TrainingLength
from mixer_tf.training.profiled_steps import ProfiledSteps
from mixer_tf.training.reporting import reason, warn


class StepProfiler(tf.keras.callbacks.Callback):
    """Writes the trace of some steps to `plugins/profile` of a run, where TensorBoard looks for it.

    Args:
        folder: the folder of the run.
        steps: the steps to profile.
        length: the length of the training.

    Raises:
        ValueError: the training has fewer steps.
    """

    _supports_tf_logs = True

    def __init__(self, folder: str, steps: ProfiledSteps, length: TrainingLength):
        super().__init__()
        if steps.last > length.steps:
            raise ValueError(
                f"the steps to profile must be among the {length.steps:,} of the training; got "
                f"{steps.first}:{steps.last}. Name earlier ones, or leave them out."
            )
        self._folder, self._profiled, self._length = folder, steps, length
        self._is_running = False

    def on_train_begin(self, logs=None):
        self._most = int(self.model._steps_per_execution.numpy())  # as the loop reads it
        # The first start takes seconds on a GPU, which would be a part of the trace.
        tf.profiler.experimental.start("")
        tf.profiler.experimental.stop(save=False)

    # The loop marks each step for the profiler from before `on_train_batch_begin` until after
    # `on_train_batch_end`; a step is recorded only if all of it is. On a TPU, callbacks see every
    # 50th step alone.

    def on_epoch_begin(self, epoch, logs=None):
        self._steps_before = self._step = self._length.end(epoch)
        self._start_before(self._steps_before + 1)

    def on_train_batch_begin(self, batch, logs=None):
        self._stop_after(self._steps_before + batch)

    def on_train_batch_end(self, batch, logs=None):
        self._step = self._steps_before + batch + 1
        if self._step >= self._profiled.last and self._is_running:
            float(logs["loss"])  # waits until the device has done the step
        self._start_before(self._step + 1)

    def on_test_begin(self, logs=None):
        self._stop_after(self._step)

    def on_epoch_end(self, epoch, logs=None):
        self._stop_after(self._step)

    def _start_before(self, step: int) -> None:
        is_next = self._profiled.first < step + self._most and step <= self._profiled.last
        if is_next and not self._is_running:
            tf.profiler.experimental.start(self._folder)
            self._is_running = True

    def _stop_after(self, step: int) -> None:
        if self._is_running and step >= self._profiled.last:
            self._is_running = False
            try:
                tf.profiler.experimental.stop()
            except (OSError, tf.errors.OpError) as error:
                warn(f"the trace of the steps cannot be written ({reason(error)}).")
