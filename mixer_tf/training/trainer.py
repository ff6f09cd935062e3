# SPDX-License-Identifier: Apache-2.0
"""Trains a recipe on a split of a dataset. Knows neither TFX nor the exported model."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import json
import os
import time
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from mixer_tf import factory
from mixer_tf.models.base import ConfiguredModel
from mixer_tf.recipes.schema import Recipe
from mixer_tf.training import compilation, distribution, freezing, loop, lost_workers
from mixer_tf.training.callbacks import (
    History,
    ProgressBar,
    SpeedLine,
    TerminateOnDivergence,
    Throughput,
)
from mixer_tf.training.checkpoint_options import CheckpointOptions
from mixer_tf.training.checkpointing import BestWeights, Stateful, StopRequested, TrainingCheckpoint
from mixer_tf.training.forecast import Forecast
from mixer_tf.training.input import batches
from mixer_tf.training.input.samples import read_samples
from mixer_tf.training.input.split import Split
from mixer_tf.training.input.wait import InputWait
from mixer_tf.training.interruption import StopSignals
from mixer_tf.training.length import TrainingLength, length_notes, training_length
from mixer_tf.training.plan import Plan
from mixer_tf.training.profiled_steps import ProfiledSteps
from mixer_tf.training.tensorboard import LogBackup
from mixer_tf.training.tensorboard.confusion import count_confusion
from mixer_tf.training.tensorboard.loggers import create_loggers
from mixer_tf.training.tensorboard.step_scalars import LastPoint
from mixer_tf.training.timing import StepTimes, Timing

ImageTransform = Callable[[tf.Tensor], tf.Tensor]


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
        planned: what was planned, to show beside the forecast; None without a plan.
        verbose: whether to show the progress.

    Raises:
        ValueError: there is nothing to train on, or the recipe does not fit the devices.
        TrainingDivergedError: the loss is no longer finite.
        TrainingStopped: after Ctrl-C or SIGTERM; with a `checkpoint_dir`, the step was finished and
            saved.
        WorkerLostError: another of several workers has died or cannot be reached.
    """
    start = time.monotonic()
    if isinstance(strategy, str):
        strategy = distribution.create_strategy(strategy)
    _check_splits(train, evaluation)
    distribution.require_divisible(
        recipe.training.batch_size,
        strategy.num_replicas_in_sync,
        recipe.training.accumulation_steps,
    )
    tf.keras.utils.set_random_seed(recipe.training.seed)
    identity = _identity(recipe, train, evaluation, length)
    length = length or training_length(recipe.training, train.num_examples)
    is_chief = distribution.is_chief(strategy)

    history, signals, last_point = History(), StopSignals(), LastPoint()
    best = BestWeights(length.patience)
    with strategy.scope():
        model = _create_model(recipe, train.num_classes, initial_weights)
        notes = compilation.compile_model(model, recipe, length.steps, strategy, train.class_counts)
        confusion = count_confusion(model, train.num_classes) if log_dir and evaluation else None
        model.optimizer.build(model.trainable_variables)
        if checkpoint_dir:
            best = TrainingCheckpoint(
                *(model, checkpoint_dir, length, identity),
                options=checkpoints,
                signals=signals,
                is_chief=is_chief,
                logs=_log_backup(log_dir, checkpoint_dir) if log_dir and is_chief else None,
                stateful=_stateful([history, last_point, *callbacks]),
            )
        begin = best.restore()

    wait = InputWait()
    data, eval_data = _distribute(recipe, train, evaluation, strategy, begin.step, transform, wait)
    times = StepTimes(length, start)
    calls = [times, Throughput(recipe.training.batch_size, wait), TerminateOnDivergence()]
    if log_dir:
        calls += create_loggers(
            *(log_dir, recipe, length, _logged_steps(length, begin)),
            read_images=lambda: read_samples(train, recipe, transform),
            input_wait=wait,
            last_point=last_point,
            confusion=confusion,
            class_names=train.class_names,
            profile=profile,
            is_chief=is_chief,
        )
    if verbose and is_chief:
        _show_plan(recipe, length, train, evaluation, strategy, model)
        options = dict(resumed=begin.step > 0, evaluates=evaluation is not None)
        speed = SpeedLine(times, recipe.training.batch_size, planned, **options)
        calls += [speed, ProgressBar(length, begin.step)]
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
        is_chief=is_chief,
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
        f"stopped after epoch {epochs} of {length.epochs}: the top-1 on the evaluation split was "
        f"best after epoch {best.best_epoch} (training.patience={length.patience})",
    )


def _create_model(
    recipe: Recipe, num_classes: int, initial_weights: Sequence[np.ndarray] | None
) -> ConfiguredModel:
    model = factory.from_recipe(recipe, num_classes)
    if initial_weights is not None:
        _require_same_shapes(model, initial_weights)
        model.set_weights(initial_weights)
    return model


def _require_same_shapes(model: ConfiguredModel, weights: Sequence[np.ndarray]) -> None:
    wanted, given = [[tuple(w.shape) for w in each] for each in (model.weights, weights)]
    if wanted != given:
        raise ValueError(
            f"initial_weights must have the shapes of the recipe's {len(wanted)} weights; got "
            f"{len(given)} arrays, {sum(a != b for a, b in zip(wanted, given, strict=False))} of "
            "them with another shape. Use the weights of the same model."
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


def _logged_steps(length: TrainingLength, begin: loop.Position) -> int:
    """Returns the steps up to which an earlier run has logged everything.

    What is logged at the end of an epoch follows its evaluation.
    """
    is_to_be_evaluated = begin.step == length.end(begin.epochs + 1)
    return begin.step - 1 if is_to_be_evaluated else begin.step


def _start(begin: loop.Position, best: BestWeights, length: TrainingLength) -> loop.Position:
    """Returns where to begin: after the last epoch, if an earlier run ended without a better one.

    The callbacks then see the end of the training, which the earlier run may not have logged.
    """
    if not best.is_exhausted(begin.epochs):
        return begin
    return dataclasses.replace(begin, epochs=length.epochs)


def _identity(
    recipe: Recipe, train: Split, evaluation: Split | None, length: TrainingLength | None
) -> dict[str, object]:
    """Returns what makes this training another one than that of a checkpoint.

    Args:
        recipe, train, evaluation: those of the training.
        length: a length that is not that of the recipe; None for that of the recipe.
    """
    sizes = [split.num_examples if split else 0 for split in (train, evaluation)]
    found = {"recipe": json.loads(recipe.to_json()), "examples": sizes}
    return {**found, "length": dataclasses.asdict(length)} if length else found


def _log_backup(log_dir: str, checkpoint_dir: str) -> LogBackup:
    return LogBackup(log_dir, os.path.join(checkpoint_dir, "logs"))


def _show_plan(
    recipe: Recipe,
    length: TrainingLength,
    train: Split,
    evaluation: Split | None,
    strategy: tf.distribute.Strategy,
    model: ConfiguredModel,
) -> None:
    plan = Plan(
        recipe,
        length,
        train.num_examples,
        evaluation.num_examples if evaluation else 0,
        train.num_classes,
        strategy.num_replicas_in_sync,
        *distribution.describe(strategy),
        built=model.config,
    )
    print("\n".join(plan.lines()), flush=True)


def _distribute(
    recipe: Recipe,
    train: Split,
    evaluation: Split | None,
    strategy: tf.distribute.Strategy,
    first_step: int,
    transform: ImageTransform | None,
    wait: InputWait,
) -> tuple[loop.Dataset, loop.Evaluation | None]:
    """Returns the batches to train on and those to evaluate on."""
    on_tpu = isinstance(strategy, tf.distribute.TPUStrategy)

    def transformed(dataset):
        return batches.map_images(dataset, transform) if transform else dataset

    def training(context):
        dataset = transformed(batches.training_batches(train, recipe, first_step, context))
        # The host of a TPU that is reached by its name has no access to variables of this process.
        return dataset if on_tpu else wait.measured(dataset)

    def validation(context):
        return transformed(batches.evaluation_batches(evaluation, recipe, context))

    data = strategy.distribute_datasets_from_function(training)
    if not evaluation:
        return data, None
    eval_data = strategy.distribute_datasets_from_function(validation)
    return data, loop.Evaluation(eval_data, batches.num_steps(evaluation, recipe))


def _check_splits(train: Split, evaluation: Split | None) -> None:
    for name, split in (("train", train), ("evaluation", evaluation)):
        if split and not (split.num_examples and split.num_classes):
            raise ValueError(
                f"{name} must have examples and classes; got {split.num_examples} examples of "
                f"{split.num_classes} classes."
            )
    if evaluation and evaluation.num_classes != train.num_classes:
        raise ValueError(
            "evaluation must have the classes of train; got "
            f"{evaluation.num_classes} and {train.num_classes} classes."
        )
