# SPDX-License-Identifier: Apache-2.0
"""Trains a recipe on a split of a dataset. Knows neither TFX nor the exported model."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import time
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from mixer_tf.models.base import ConfiguredModel
from mixer_tf.recipes.schema import Recipe
from mixer_tf.training import distribution, freezing, loop, lost_workers, memory_errors
from mixer_tf.training.callbacks import History, TerminateOnDivergence, Throughput
from mixer_tf.training.checkpoint_options import CheckpointOptions
from mixer_tf.training.checkpointing import BestWeights, Stateful, StopRequested
from mixer_tf.training.forecast import Forecast
from mixer_tf.training.input import batches
from mixer_tf.training.input.split import Split
from mixer_tf.training.input.wait import InputWait
from mixer_tf.training.interruption import StopSignals
from mixer_tf.training.length import TrainingLength, length_notes
from mixer_tf.training.profiled_steps import ProfiledSteps
from mixer_tf.training.tensorboard.step_scalars import LastPoint
from mixer_tf.training.timing import StepTimes, Timing
from mixer_tf.training.training_setup import ImageTransform, TrainingSetup


@dataclasses.dataclass(frozen=True)
class Fitted:
    """The result of a training.

    Attributes:
        recipe: the recipe that was trained.
        model: the model with the weights of the best epoch, on every worker.
        accuracy: top-1 accuracy on the evaluation split; None without one.
        epoch: the epoch of these weights, from 1: the best one on the evaluation split, or the
            latest one without it.
        first_epoch: 1, or the first epoch of this run where it resumed an earlier one.
        first_step: 0, or the number of steps that an earlier run had done and saved.
        seconds: duration of this run.
        notes: one line for each deviation from what was asked.
        history: for each epoch of the training, name of a metric -> value.
        is_chief: whether this process, of several workers, exports the model.
        timing: what the steps of this run took.
    """

    recipe: Recipe
    model: ConfiguredModel
    accuracy: float | None
    epoch: int
    first_epoch: int
    first_step: int
    seconds: float
    notes: tuple[str, ...]
    history: tuple[dict[str, float], ...]
    is_chief: bool
    timing: Timing
    _weights: BestWeights = dataclasses.field(repr=False)

    def discard_checkpoints(self) -> None:
        """Removes the checkpoints; call it when the model is exported.

        Until then, another `fit` with the same `checkpoint_dir` resumes from the last of them.
        """
        self._weights.discard()


@lost_workers.explained
@memory_errors.explained
def fit(
    recipe: Recipe,
    train: Split,
    evaluation: Split | None = None,
    *,
    strategy: str | tf.distribute.Strategy = "auto",
    checkpoint_dir: str | None = None,
    checkpoints: CheckpointOptions | None = None,
    log_dir: str | None = None,
    profile: ProfiledSteps | None = None,
    callbacks: Sequence[tf.keras.callbacks.Callback] = (),
    initial_weights: Sequence[np.ndarray] | None = None,
    transform: ImageTransform | None = None,
    length: TrainingLength | None = None,
    planned: Forecast | None = None,
    verbose: bool = True,
) -> Fitted:
    """Trains a recipe, and chooses the best epoch by the accuracy on the evaluation split.

    Args:
        recipe: the model and the training.
        train: the training examples.
        evaluation: the examples to choose the best epoch by; None to take the last epoch.
        strategy: a name that `distribution.create_strategy` knows, or its result. Several workers
            must create theirs before TensorFlow does anything else.
        checkpoint_dir: a folder for this training only, from which a killed run resumes and ends
            with the same weights and metrics, bit for bit where the operations of the device are
            deterministic; it stays until `Fitted.discard_checkpoints`. None to leave nothing on
            disk.
        checkpoints: when to save within epochs; None for the defaults.
        log_dir: the folder of this training's run of TensorBoard; None for no logs.
        profile: the steps of which `log_dir` gets a trace for TensorBoard's profiler; None for
            none.
        callbacks: further Keras callbacks, called after the built-in ones have added to the logs;
            those with the methods of `checkpointing.Stateful` continue after a restart.
        initial_weights: arrays as of `model.get_weights()`, instead of those of the recipe. A
            checkpoint takes precedence.
        transform: applied to the images of each batch, [B, S, S, 3], of both splits.
        length: the number of steps, and after which of them the model is evaluated; None for those
            of the recipe.
        planned: what was planned, to show before the start and beside the forecast; None without a
            plan.
        verbose: whether to show the progress.

    Raises:
        ValueError: there is nothing to train on, or the recipe does not fit the devices.
        TrainingDivergedError: the loss is no longer finite.
        TrainingStopped: after Ctrl-C or SIGTERM; with a `checkpoint_dir`, the step was finished and
            saved.
        OutOfMemoryError: a step does not fit in the memory of the device.
        WorkerLostError: another of several workers has died or cannot be reached.
    """
    start = time.monotonic()
    if isinstance(strategy, str):
        strategy = distribution.create_strategy(strategy)
    setup = TrainingSetup(
        *(recipe, train, evaluation, strategy, checkpoint_dir, log_dir, transform, length)
    )
    length = setup.length
    tf.keras.utils.set_random_seed(recipe.training.seed)
    history, signals, last_point = History(), StopSignals(), LastPoint()
    with strategy.scope():
        model = setup.create_model(initial_weights)
        notes = setup.compile(model)
        confusion = setup.count_confusion(model)
        model.optimizer.build(model.trainable_variables)
        stateful = _stateful([history, last_point, *callbacks])
        best = setup.create_checkpoint(model, checkpoints, signals, stateful)
        begin = best.restore()

    wait, times = InputWait(), StepTimes(length, start)
    data, eval_data = setup.create_batches(begin.step, wait)
    calls = [times, Throughput(recipe.training.batch_size, wait), TerminateOnDivergence()]
    calls += setup.create_loggers(begin, wait, last_point, confusion, profile)
    if verbose and setup.is_chief:
        setup.show_plan(model, planned)
        calls += setup.create_progress(times, begin, planned)
    # The checkpoint comes last: after it, no callback is repeated.
    calls += [*callbacks, history, best]
    with signals if checkpoint_dir else contextlib.nullcontext():
        try:
            loop.run(model, data, length, calls, eval_data, _start(begin, best, length))
        except StopRequested as stop:
            raise best.stop(*stop.args) from None
    best.load_best(model)
    freezing.unfreeze(model)
    return Fitted(
        recipe=recipe,
        model=model,
        accuracy=best.best_accuracy,
        epoch=best.best_epoch,
        first_epoch=begin.epochs + 1,
        first_step=begin.step,
        seconds=time.monotonic() - start,
        notes=(*notes, *_notes(recipe, train, best, len(history.epochs), length)),
        history=tuple(history.epochs),
        is_chief=setup.is_chief,
        timing=times.timing,
        _weights=best,
    )


def _notes(
    recipe: Recipe, train: Split, best: BestWeights, epochs: int, length: TrainingLength
) -> tuple[str, ...]:
    return (
        *length_notes(recipe.training, train.num_examples),
        *batches.shuffle_notes(train, recipe),
        *_patience_notes(best, epochs, length),
    )


def _patience_notes(best: BestWeights, epochs: int, length: TrainingLength) -> tuple[str, ...]:
    if length.patience is None:
        return ()
    if best.best_accuracy is None:
        return ("training.patience has no effect without an evaluation split",)
    if epochs == length.epochs:
        return ()
    return (
        f"stopped after epoch {epochs} of {length.epochs}: the evaluation split was predicted best "
        f"after epoch {best.best_epoch} (training.patience={length.patience})",
    )


def _stateful(objects: Sequence[object]) -> dict[str, Stateful]:
    """Returns those that continue after a restart, such as callbacks, by the name of their class.

    Several of a class are numbered in their order: "Counter", "Counter_1".
    """
    found: dict[str, Stateful] = {}
    counts = collections.Counter()
    for each in objects:
        if hasattr(each, "get_state"):
            name = type(each).__name__
            found[f"{name}_{counts[name]}" if counts[name] else name] = each
            counts[name] += 1
    return found


def _start(begin: loop.Position, best: BestWeights, length: TrainingLength) -> loop.Position:
    """Returns where to begin: after the last epoch, if an earlier run ended without a better one.

    The callbacks then see the end of the training, which the earlier run may not have logged.
    """
    if not best.is_exhausted(begin.epochs):
        return begin
    return dataclasses.replace(begin, epochs=length.epochs)
