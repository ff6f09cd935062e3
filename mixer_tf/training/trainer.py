# SPDX-License-Identifier: Apache-2.0
"""Trains a recipe on a split of a dataset. Knows neither TFX nor the exported model."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from mixer_tf import factory
from mixer_tf.models.base import ConfiguredModel
from mixer_tf.recipes.schema import Recipe
from mixer_tf.training import compilation, distribution, freezing
from mixer_tf.training.callbacks import History, ProgressBar, TerminateOnDivergence, Throughput
from mixer_tf.training.checkpointing import BestWeights, TrainingCheckpoint
from mixer_tf.training.ema import SwapEMAWeights
from mixer_tf.training.input import batches
from mixer_tf.training.input.split import Split
from mixer_tf.training.length import TrainingLength, training_length
from mixer_tf.training.tensorboard import LogBackup, TensorBoardScalars, WeightImages

ImageTransform = Callable[[tf.Tensor], tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Fitted:
    """The result of a training.

    Attributes:
        recipe: the recipe that was trained.
        model: the model with the weights of the best epoch (on workers other than the chief, which
            have no access to them, with the latest weights).
        accuracy: top-1 accuracy on the evaluation split; None without one.
        epoch: the epoch of these weights, from 1: the best one on the evaluation split, or the
            latest one without it.
        first_epoch: 1, or the first epoch of this run where it resumed an earlier one.
        seconds: duration of this run.
        notes: one line for each deviation from what was asked.
        history: for each epoch of this run, name of a metric -> value.
        is_chief: whether this process, of several workers, exports the model.
    """

    recipe: Recipe
    model: ConfiguredModel
    accuracy: float | None
    epoch: int
    first_epoch: int
    seconds: float
    notes: tuple[str, ...]
    history: tuple[dict[str, float], ...]
    is_chief: bool
    _weights: BestWeights = dataclasses.field(repr=False)

    def discard_checkpoints(self) -> None:
        """Removes the checkpoints; call it when the model is exported.

        Until then, another `fit` with the same `checkpoint_dir` resumes from the last of them.
        """
        self._weights.discard()


def fit(
    recipe: Recipe,
    train: Split,
    evaluation: Split | None = None,
    *,
    strategy: str | tf.distribute.Strategy = "auto",
    checkpoint_dir: str | None = None,
    log_dir: str | None = None,
    callbacks: Sequence[tf.keras.callbacks.Callback] = (),
    initial_weights: Sequence[np.ndarray] | None = None,
    transform: ImageTransform | None = None,
    verbose: bool = True,
) -> Fitted:
    """Trains a recipe, and chooses the best epoch by the accuracy on the evaluation split.

    Args:
        recipe: the model and the training.
        train: the training examples.
        evaluation: the examples to choose the best epoch by; None to take the last epoch.
        strategy: a name that `distribution.create_strategy` knows, or its result. Several workers
            must create theirs before TensorFlow does anything else.
        checkpoint_dir: a folder for this training only, from which a killed run resumes; it stays
            until `Fitted.discard_checkpoints`. None to leave nothing on disk.
        log_dir: a folder for TensorBoard; None for no logs.
        callbacks: further Keras callbacks, called after the built-in ones have added to the logs.
        initial_weights: arrays as of `model.get_weights()`, instead of those of the recipe. A
            checkpoint takes precedence.
        transform: applied to the images of each batch, [B, S, S, 3], of both splits.
        verbose: whether to show the progress.

    Raises:
        ValueError: there is nothing to train on, or the recipe does not fit the devices.
        TrainingDivergedError: the loss is no longer finite.
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
    length = training_length(recipe.training, train.num_examples)
    is_chief = distribution.is_chief(strategy)

    with strategy.scope():
        model = _create_model(recipe, train.num_classes, initial_weights)
        notes = compilation.compile_model(model, recipe, length.steps, strategy, train.class_counts)
        model.optimizer.build(model.trainable_variables)
        best = _best_weights(model, checkpoint_dir, log_dir, is_chief)
        epochs_done = best.restore()

    first_step = epochs_done * length.steps_per_epoch
    data = _distribute(recipe, train, evaluation, strategy, first_step, transform)
    history = History()
    built_in = [Throughput(recipe.training.batch_size), TerminateOnDivergence(), SwapEMAWeights()]
    loggers = _loggers(length, log_dir, epochs_done) if log_dir and is_chief else ()
    progress = [ProgressBar(length.epochs, length.steps_per_epoch)] if verbose and is_chief else ()
    model.fit(
        **data,
        epochs=length.epochs,
        initial_epoch=epochs_done,
        steps_per_epoch=length.steps_per_epoch,
        # The loggers come before the checkpoint: after it, an epoch is not repeated.
        callbacks=[*built_in, *loggers, best, *progress, *callbacks, history],
        verbose=0,
    )
    best.load_best(model)
    freezing.unfreeze(model)
    return Fitted(
        recipe=recipe,
        model=model,
        accuracy=best.best_accuracy,
        epoch=best.best_epoch,
        first_epoch=epochs_done + 1,
        seconds=time.monotonic() - start,
        notes=notes,
        history=tuple(history.epochs),
        is_chief=is_chief,
        _weights=best,
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


def _best_weights(
    model: ConfiguredModel, folder: str | None, log_dir: str | None, is_chief: bool
) -> BestWeights:
    if not folder:
        return BestWeights()
    logs = LogBackup(log_dir, os.path.join(folder, "logs")) if log_dir and is_chief else None
    return TrainingCheckpoint(model, folder, is_chief, logs)


def _loggers(
    length: TrainingLength, log_dir: str, epochs_done: int
) -> list[tf.keras.callbacks.Callback]:
    """Returns the callbacks for TensorBoard, which only the chief has."""
    return [
        TensorBoardScalars(log_dir, epochs_done),
        WeightImages(log_dir, length.epochs, epochs_done),
    ]


def _distribute(
    recipe: Recipe,
    train: Split,
    evaluation: Split | None,
    strategy: tf.distribute.Strategy,
    first_step: int,
    transform: ImageTransform | None,
) -> dict[str, object]:
    """Returns the arguments of Keras' `fit` that concern data."""

    def transformed(dataset):
        return batches.map_images(dataset, transform) if transform else dataset

    def training(context):
        return transformed(batches.training_batches(train, recipe, first_step, context))

    def validation(context):
        return transformed(batches.evaluation_batches(evaluation, recipe, context))

    data = {"x": strategy.distribute_datasets_from_function(training)}
    if evaluation:
        data["validation_data"] = strategy.distribute_datasets_from_function(validation)
        data["validation_steps"] = batches.num_steps(evaluation, recipe)
    return data


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
