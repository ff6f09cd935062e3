# SPDX-License-Identifier: Apache-2.0
"""Trains a recipe on the shards of a dataset and exports the best model. Knows nothing of TFX."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence

import tensorflow as tf

from mixer_tf import factory, features
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.export import saved_model
from mixer_tf.models.base import ConfiguredModel
from mixer_tf.recipes.schema import Recipe
from mixer_tf.training import compilation
from mixer_tf.training import distribution as strategies
from mixer_tf.training.callbacks import (
    ProgressBar,
    TerminateOnDivergence,
    Throughput,
)
from mixer_tf.training.checkpointing import TrainingCheckpoint
from mixer_tf.training.ema import SwapEMAWeights
from mixer_tf.training.input import batches
from mixer_tf.training.input.split import Split, count_records
from mixer_tf.training.length import TrainingLength, training_length
from mixer_tf.training.tensorboard import TensorBoardScalars, WeightImages


@dataclasses.dataclass(frozen=True)
class TrainingResult:
    """What came out of a training.

    Attributes:
        model: with the exported weights.
        accuracy: top-1 on the `eval` split; None where it has no images.
        epoch: of which the weights are, from 1.
        first_epoch: 1, or the one at which this run took up what an earlier one had begun.
        seconds: of this run, without the export.
        notes: one line for each thing that was done otherwise than asked.
    """

    model: ConfiguredModel
    accuracy: float | None
    epoch: int
    first_epoch: int
    seconds: float
    notes: tuple[str, ...] = ()


def train(
    recipe: Recipe,
    *,
    train_files: Sequence[str],
    eval_files: Sequence[str],
    dataset_info: DatasetInfo,
    output_dir: str,
    checkpoint_dir: str,
    log_dir: str | None = None,
    strategy: str | tf.distribute.Strategy = "auto",
    verbose: bool = True,
) -> TrainingResult:
    """Trains, and writes the best model to `output_dir` as a SavedModel.

    Args:
        recipe: what to train, and how.
        train_files: gzip TFRecord shards of `features.ImageRecord` examples.
        eval_files: the same, to choose the best epoch by; may be empty.
        dataset_info: class names in label order, and the number of training images.
        output_dir: becomes the SavedModel once that is complete; see `export.py`.
        checkpoint_dir: of this training alone. A run that was killed goes on from what lies
            there; once the model is exported, it is removed.
        log_dir: for TensorBoard; None for no logs.
        strategy: a word that `strategy.create_strategy` knows, or what it returned. Several workers
            must make theirs before TensorFlow does anything else.
        verbose: whether to show the progress.

    Raises:
        ValueError: nothing to train on, or a recipe that does not fit the devices.
        TrainingDivergedError: the loss is no longer finite.
    """
    start = time.monotonic()
    _check_data(train_files, dataset_info)
    distribution = strategies.create_strategy(strategy) if isinstance(strategy, str) else strategy
    _check_batch_size(recipe, distribution)
    tf.keras.utils.set_random_seed(recipe.training.seed)
    train_split, eval_split = _open_splits(train_files, eval_files, dataset_info)
    length = training_length(recipe.training, train_split.num_examples)
    is_chief = strategies.is_chief(distribution)

    with distribution.scope():
        model = factory.from_recipe(recipe, dataset_info.num_classes)
        notes = compilation.compile_model(model, recipe, length.steps, distribution)
        state = TrainingCheckpoint(model, checkpoint_dir, is_chief)
        epochs_done = state.restore()

    callbacks = [
        Throughput(recipe.training.batch_size),
        TerminateOnDivergence(),
        SwapEMAWeights(),
        state,
        *(_loggers(log_dir, length) if log_dir and is_chief else []),
        *([ProgressBar(length.epochs, length.steps_per_epoch)] if verbose and is_chief else []),
    ]
    _fit(model, recipe, length, train_split, eval_split, distribution, epochs_done, callbacks)

    seconds = time.monotonic() - start
    if is_chief:
        state.load_best(model)
        saved_model.export_saved_model(model, recipe, dataset_info.class_names, output_dir)
        state.clear()
    return TrainingResult(
        model, state.best_accuracy, state.best_epoch, epochs_done + 1, seconds, notes
    )


def _loggers(log_dir: str, length: TrainingLength) -> list[tf.keras.callbacks.Callback]:
    return [TensorBoardScalars(log_dir), WeightImages(log_dir, length.epochs)]


def _fit(model, recipe, length, train_split, eval_split, distribution, epochs_done, callbacks):
    """Runs Keras' loop from the first epoch that is still to do."""

    def training(context):
        first_step = epochs_done * length.steps_per_epoch
        return batches.training_batches(train_split, recipe, first_step, context)

    def evaluation(context):
        return batches.evaluation_batches(eval_split, recipe, context)

    validation = {}
    if eval_split.num_examples:
        validation = {
            "validation_data": distribution.distribute_datasets_from_function(evaluation),
            "validation_steps": batches.num_steps(eval_split, recipe),
        }
    model.fit(
        distribution.distribute_datasets_from_function(training),
        epochs=length.epochs,
        initial_epoch=epochs_done,
        steps_per_epoch=length.steps_per_epoch,
        callbacks=callbacks,
        verbose=0,
        **validation,
    )


def _open_splits(
    train_files: Sequence[str], eval_files: Sequence[str], dataset_info: DatasetInfo
) -> tuple[Split, Split]:
    """Takes the dataset's word for the images to train on, and counts those to evaluate on."""
    train_count = dataset_info.examples[features.TRAIN]
    eval_count = count_records(eval_files)
    return (
        Split(tuple(sorted(train_files)), train_count, dataset_info.num_classes),
        Split(tuple(sorted(eval_files)), eval_count, dataset_info.num_classes),
    )


def _check_data(train_files: Sequence[str], dataset_info: DatasetInfo) -> None:
    if not dataset_info.num_classes:
        raise ValueError(
            f"a training needs class names; got none from {dataset_info.source}. "
            "Use images with labels."
        )
    if not train_files or not dataset_info.examples.get(features.TRAIN):
        raise ValueError(
            f"a training needs at least one image in the split {features.TRAIN!r}; got "
            f"{dataset_info.examples or 'no split'} from {dataset_info.source}. Look into the "
            "quarantine for images that could not be used."
        )


def _check_batch_size(recipe: Recipe, distribution: tf.distribute.Strategy) -> None:
    batch_size, devices = recipe.training.batch_size, distribution.num_replicas_in_sync
    rest = batch_size % devices
    if rest:
        raise ValueError(
            "training.batch_size must be a multiple of the number of devices; got "
            f"batch_size={batch_size} on {devices} devices. Use {batch_size - rest or devices} "
            f"or {batch_size - rest + devices}."
        )
