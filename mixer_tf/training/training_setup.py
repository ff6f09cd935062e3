# SPDX-License-Identifier: Apache-2.0
"""What `trainer.fit` puts together: a training's model, batches, checkpoints, logs and progress."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from mixer_tf import factory
from mixer_tf.models.base import ConfiguredModel
from mixer_tf.recipes.schema import Recipe
from mixer_tf.training import compilation, distribution, loop
from mixer_tf.training.callbacks import ProgressBar, SpeedLine
from mixer_tf.training.checkpoint_options import CheckpointOptions
from mixer_tf.training.checkpointing import BestWeights, Stateful, TrainingCheckpoint
from mixer_tf.training.forecast import Forecast, planned_line
from mixer_tf.training.input import batches
from mixer_tf.training.input.samples import read_samples
from mixer_tf.training.input.split import Split
from mixer_tf.training.input.wait import InputWait
from mixer_tf.training.interruption import StopSignals
from mixer_tf.training.length import TrainingLength, training_length
from mixer_tf.training.plan import Plan
from mixer_tf.training.profiled_steps import ProfiledSteps
from mixer_tf.training.tensorboard import LogBackup
from mixer_tf.training.tensorboard.confusion import ConfusionMatrix, count_confusion
from mixer_tf.training.tensorboard.loggers import create_loggers
from mixer_tf.training.tensorboard.step_scalars import LastPoint
from mixer_tf.training.timing import StepTimes

ImageTransform = Callable[[tf.Tensor], tf.Tensor]
Callbacks = list[tf.keras.callbacks.Callback]


@dataclasses.dataclass(frozen=True)
class TrainingSetup:
    """A training before its first step.

    Attributes:
        recipe, train, evaluation, checkpoint_dir, log_dir, transform: see `trainer.fit`.
        strategy: the strategy that it runs under.
        given_length: a length that is not that of the recipe; None for that of the recipe.

    Raises:
        ValueError: there is nothing to train on, or the recipe does not fit the devices.
    """

    recipe: Recipe
    train: Split
    evaluation: Split | None
    strategy: tf.distribute.Strategy
    checkpoint_dir: str | None = None
    log_dir: str | None = None
    transform: ImageTransform | None = None
    given_length: TrainingLength | None = None

    def __post_init__(self):
        _check_splits(self.train, self.evaluation)
        distribution.require_divisible(
            self.recipe.training.batch_size,
            self.strategy.num_replicas_in_sync,
            self.recipe.training.accumulation_steps,
        )

    @property
    def length(self) -> TrainingLength:
        return self.given_length or training_length(self.recipe.training, self.train.num_examples)

    @property
    def is_chief(self) -> bool:
        """Whether this process, of several workers, writes files and shows the progress."""
        return distribution.is_chief(self.strategy)

    @property
    def identity(self) -> dict[str, object]:
        """What makes this training another one than that of a checkpoint."""
        sizes = [split.num_examples if split else 0 for split in (self.train, self.evaluation)]
        found = {"recipe": json.loads(self.recipe.to_json()), "examples": sizes}
        given = self.given_length
        return {**found, "length": dataclasses.asdict(given)} if given else found

    def create_model(self, weights: Sequence[np.ndarray] | None = None) -> ConfiguredModel:
        """Returns the model; its weights are those of the recipe, or the given arrays."""
        model = factory.from_recipe(self.recipe, self.train.num_classes)
        if weights is not None:
            _require_same_shapes(model, weights)
            model.set_weights(weights)
        return model

    def compile(self, model: ConfiguredModel) -> tuple[str, ...]:
        """Compiles the model; returns one line for each deviation from the recipe."""
        counts = self.train.class_counts
        return compilation.compile_model(
            model, self.recipe, self.length.steps, self.strategy, counts
        )

    def count_confusion(self, model: ConfiguredModel) -> ConfusionMatrix | None:
        """Returns what counts the evaluation's answers for the logs, where there are both."""
        if not (self.log_dir and self.evaluation):
            return None
        return count_confusion(model, self.train.num_classes)

    def create_checkpoint(
        self,
        model: ConfiguredModel,
        options: CheckpointOptions | None,
        signals: StopSignals,
        stateful: Mapping[str, Stateful],
    ) -> BestWeights:
        """Returns what keeps the best weights, and saves where there is a folder for that.

        Args:
            model: a compiled model with a built optimizer.
            options, signals, stateful: see `TrainingCheckpoint`.
        """
        if not self.checkpoint_dir:
            return BestWeights(self.length.patience)
        return TrainingCheckpoint(
            *(model, self.checkpoint_dir, self.length, self.identity),
            options=options,
            signals=signals,
            is_chief=self.is_chief,
            logs=self._log_backup(),
            stateful=stateful,
        )

    def _log_backup(self) -> LogBackup | None:
        if not (self.log_dir and self.is_chief):
            return None
        return LogBackup(self.log_dir, os.path.join(self.checkpoint_dir, "logs"))

    def create_batches(
        self, first_step: int, wait: InputWait
    ) -> tuple[loop.Dataset, loop.Evaluation | None]:
        """Returns the batches to train on, from a step on, and those to evaluate on.

        Args:
            first_step: number of steps that are done.
            wait: measures the wait for the batches to train on.
        """
        # The host of a TPU that is reached by its name has no access to variables of this process.
        is_measured = not isinstance(self.strategy, tf.distribute.TPUStrategy)

        def training(context):
            found = batches.training_batches(self.train, self.recipe, first_step, context)
            dataset = self._transformed(found)
            dataset = wait.measured(dataset) if is_measured else dataset
            return self._prefetched(dataset)

        def validation(context):
            found = batches.evaluation_batches(self.evaluation, self.recipe, context)
            return self._prefetched(self._transformed(found))

        data = self.strategy.distribute_datasets_from_function(training)
        if not self.evaluation:
            return data, None
        eval_data = self.strategy.distribute_datasets_from_function(validation)
        return data, loop.Evaluation(eval_data, batches.num_steps(self.evaluation, self.recipe))

    def _transformed(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        return batches.map_images(dataset, self.transform) if self.transform else dataset

    def _prefetched(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        _, name = distribution.describe(self.strategy)
        return batches.prefetch_to_gpu(dataset) if name == "default" else dataset

    def create_loggers(
        self,
        begin: loop.Position,
        wait: InputWait,
        last_point: LastPoint,
        confusion: ConfusionMatrix | None,
        profile: ProfiledSteps | None,
    ) -> Callbacks:
        """Returns what logs for TensorBoard; nothing without a folder for that.

        Args:
            begin: where the training begins.
            wait, last_point, confusion, profile: see `loggers.create_loggers`.
        """
        if not self.log_dir:
            return []
        return create_loggers(
            *(self.log_dir, self.recipe, self.length, self._logged_steps(begin)),
            read_images=lambda: read_samples(self.train, self.recipe, self.transform),
            input_wait=wait,
            last_point=last_point,
            confusion=confusion,
            class_names=self.train.class_names,
            profile=profile,
            is_chief=self.is_chief,
        )

    def _logged_steps(self, begin: loop.Position) -> int:
        """Returns the steps up to which an earlier run has logged everything.

        What is logged at the end of an epoch follows its evaluation.
        """
        is_to_be_evaluated = begin.step == self.length.end(begin.epochs + 1)
        return begin.step - 1 if is_to_be_evaluated else begin.step

    def create_progress(
        self, times: StepTimes, begin: loop.Position, planned: Forecast | None
    ) -> Callbacks:
        """Returns what shows the progress.

        Args:
            times: what measures the steps.
            begin: where the training begins.
            planned: what was planned; None without a plan.
        """
        batch_size = self.recipe.training.batch_size
        options = dict(resumed=begin.step > 0, evaluates=self.evaluation is not None)
        speed = SpeedLine(times, batch_size, planned, **options)
        return [speed, ProgressBar(self.length, times, batch_size)]

    def show_plan(self, model: ConfiguredModel, planned: Forecast | None) -> None:
        """Prints the size of the training with this model, and the time that was planned for it."""
        plan = Plan(
            self.recipe,
            self.length,
            self.train.num_examples,
            self.evaluation.num_examples if self.evaluation else 0,
            self.train.num_classes,
            self.strategy.num_replicas_in_sync,
            *distribution.describe(self.strategy),
            built=model.config,
        )
        expected = [planned_line(planned, self.recipe.training.batch_size)] if planned else []
        print("\n".join([*plan.lines(), *expected]), flush=True)


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


def _require_same_shapes(model: ConfiguredModel, weights: Sequence[np.ndarray]) -> None:
    wanted, given = [[tuple(w.shape) for w in each] for each in (model.weights, weights)]
    if wanted != given:
        raise ValueError(
            f"initial_weights must have the shapes of the recipe's {len(wanted)} weights; got "
            f"{len(given)} arrays, {sum(a != b for a, b in zip(wanted, given, strict=False))} of "
            "them with another shape. Use the weights of the same model."
        )
