# SPDX-License-Identifier: Apache-2.0
"""The loop over epochs and steps: what Keras' `fit` does, from any step on."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import tensorflow as tf

from mixer_tf.training.ema import averaged_weights
from mixer_tf.training.length import TrainingLength

Logs = dict[str, float]
Dataset = tf.data.Dataset | tf.distribute.DistributedDataset


@dataclasses.dataclass(frozen=True)
class Position:
    """How much of a training is done.

    Attributes:
        step: number of steps that are done.
        epochs: number of complete epochs, the evaluation included.
        logs: what the last step has logged; None before the first step and after an epoch.
    """

    step: int = 0
    epochs: int = 0
    logs: Logs | None = None


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The batches to evaluate on after each epoch, and their number."""

    data: Dataset
    steps: int


def run(
    model: tf.keras.Model,
    data: Dataset,
    length: TrainingLength,
    callbacks: Sequence[tf.keras.callbacks.Callback],
    evaluation: Evaluation | None = None,
    start: Position | None = None,
) -> None:
    """Trains a compiled model.

    Unlike Keras' `fit`, epochs may differ by one step, and a training that is resumed within an
    epoch keeps what its metrics have counted so far. Evaluated are the averaged weights.

    Args:
        model: compiled under the strategy that distributes the data.
        data: endless batches, from step `start.step` on.
        length: the length of the training.
        callbacks: called as by `fit`; the steps of an epoch count from 0, also in a resumed one.
        evaluation: None to evaluate nothing.
        start: where to begin; None for the first step.
    """
    start = start or Position()
    with model.distribute_strategy.scope():
        calls = tf.keras.callbacks.CallbackList(list(callbacks), model=model, epochs=length.epochs)
        steps = _Steps(model, data, calls)
        model.stop_training = False
        calls.on_train_begin()
        logs = None
        for epoch in range(start.epochs, length.epochs):
            first = max(start.step, length.end(epoch))
            if first == length.end(epoch):
                model.reset_metrics()
            calls.on_epoch_begin(epoch)
            logs = steps.run(epoch, first, length) or start.logs
            logs = {**logs, **_evaluate(model, evaluation, calls)}
            calls.on_epoch_end(epoch, logs)
            if model.stop_training:
                break
        model.optimizer.finalize_variable_values(model.trainable_variables)
        calls.on_train_end(logs)


class _Steps:
    """The steps of a model on one iterator over its batches.

    Args:
        model, data: see `run`.
        calls: all callbacks.
    """

    def __init__(
        self, model: tf.keras.Model, data: Dataset, calls: tf.keras.callbacks.CallbackList
    ):
        self._model, self._calls = model, calls
        self._function = model.make_train_function()
        self._iterator = iter(data)
        # More than one on a TPU; the variable is what the function reads.
        self._at_once = model._steps_per_execution
        self._most = int(self._at_once.numpy())

    def run(self, epoch: int, first: int, length: TrainingLength) -> Logs | None:
        """Runs the steps from `first` to the end of an epoch; returns their logs, None if none."""
        begin, end = length.end(epoch), length.end(epoch + 1)
        logs, step = None, first
        while step < end and not self._model.stop_training:
            count = self._set_count(min(self._most, end - step))
            with tf.profiler.experimental.Trace("train", step_num=step, _r=1):
                self._calls.on_train_batch_begin(step - begin)
                logs = self._function(self._iterator)
                step += count
                self._calls.on_train_batch_end(step - begin - 1, logs)
        self._set_count(self._most)
        return logs and {name: float(value) for name, value in logs.items()}

    def _set_count(self, count: int) -> int:
        if self._most > 1:
            self._at_once.assign(count)
        return count


def _evaluate(
    model: tf.keras.Model,
    evaluation: Evaluation | None,
    calls: tf.keras.callbacks.CallbackList,
) -> Logs:
    if not evaluation:
        return {}
    with averaged_weights(model):
        logs = model.evaluate(
            evaluation.data,
            steps=evaluation.steps,
            callbacks=calls,
            verbose=0,
            return_dict=True,
        )
    return {f"val_{name}": value for name, value in logs.items()}
