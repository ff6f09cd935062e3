# SPDX-License-Identifier: Apache-2.0
"""Trains one model of a study and measures it: a row of the results that several studies share."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.features import EVAL, TEST, TRAIN
from mixer_tf.models import costs
from mixer_tf.recipes.schema import Recipe
from mixer_tf.studies import readout, trials
from mixer_tf.studies.measurement import Measurement
from mixer_tf.studies.study_folder import DATA, StudyFolder, Trial
from mixer_tf.training import trainer
from mixer_tf.training.input.split import Split, open_splits
from mixer_tf.training.length import TrainingLength, training_length

TARGET = "target"


class MeasuredTraining:
    """Trains models on the images in the folder of a study, and measures them.

    Args:
        folder: the folder, with the prepared images; the caller holds its lock.
        info: the `dataset.json` of the images that are trained on.
        target: the `dataset.json` of the images of the read-out in the folder `target/`; None for
            the evaluation and test images of the same dataset.
        measurement: what is measured.
        strategy: a name that `distribution.create_strategy` knows.

    Attributes:
        splits: name of each split of the images that are trained on → the split.

    Raises:
        ValueError: a split is missing, or a class has too few images for the read-out.
    """

    def __init__(
        self,
        folder: StudyFolder,
        info: DatasetInfo,
        target: DatasetInfo | None = None,
        measurement: Measurement | None = None,
        strategy: str = "auto",
    ):
        self._folder, self._info, self._target = folder, info, target
        self._measurement, self._strategy = measurement or Measurement(), strategy
        require_splits(info, (EVAL, TEST))
        if target:
            require_splits(target, (TRAIN, TEST))
        few_shot, split = (target, TRAIN) if target else (info, EVAL)
        shots = self._measurement.shots
        readout.require_shots(few_shot.counts[split], shots, f"{split} split")
        self.splits = open_splits(folder.path(DATA), info)

    def steps(self, recipe: Recipe) -> int:
        """Returns the number of steps of a recipe on all images."""
        return training_length(recipe.training, self._info.examples[TRAIN]).steps

    def work(self, trial: Trial) -> float:
        """Returns the number of images that a training processes."""
        return self.steps(trial.recipe) * trial.recipe.training.batch_size

    def train(
        self,
        trial: Trial,
        split: Split,
        report: trials.Report = lambda step, steps: None,
    ) -> dict:
        """Trains a model, and returns its row of the results.

        Args:
            trial: what to train; for as many steps as on all images.
            split: the images to train on.
            report: called with the number of steps that are done, and of all steps.

        Raises:
            TrainingDivergedError, TrainingStopped: see `trainer.fit`.
        """
        steps = self.steps(trial.recipe)
        training = trial.recipe.training.replace(steps=steps)
        recipe = trial.recipe.replace(training=training)
        evaluations = min(self._measurement.evaluations, steps)
        length = TrainingLength(evaluations, steps, training.patience)
        fitted = trainer.fit(
            recipe,
            split,
            self.splits[EVAL],
            strategy=self._strategy,
            checkpoint_dir=self._folder.checkpoints(trial),
            callbacks=[trials.StepProgress(length, report)],
            length=length,
            verbose=False,
        )
        return {
            "model": trial.model,
            **trial.settings,
            "images": split.num_examples,
            "epochs": steps * training.batch_size / split.num_examples,
            "steps": steps,
            "best_step": length.end(fitted.epoch),
            **self._cost(recipe),
            # Of augmented images, and of the latest weights where the recipe averages them.
            "train_accuracy": fitted.history[fitted.epoch - 1].get("accuracy"),
            "eval_accuracy": fitted.accuracy,
            **self._read_out(fitted),
            # Of the last of several runs only, if the training was resumed: not a duration of all.
            "seconds": None if fitted.first_step else round(fitted.seconds, 1),
            "notes": list(fitted.notes),
            "recipe": recipe.to_dict(),
        }

    def _cost(self, recipe: Recipe) -> dict[str, int]:
        config = recipe.model.config(self._info.num_classes)
        return {
            "parameters": costs.count_parameters(config),
            "multiply_adds": costs.count_multiply_adds(config),
        }

    def _read_out(self, fitted: trainer.Fitted) -> dict[str, object]:
        """Returns the accuracy of a trained model on the test images, and that of the probe."""

        def features(split: Split) -> readout.Features:
            return readout.compute_features(fitted.model, fitted.recipe, split)

        test = features(self.splits[TEST])
        if self._target:
            splits = open_splits(self._folder.path(TARGET), self._target)
            train, target = features(splits[TRAIN]), features(splits[TEST])
        else:
            # Deviation: the paper reads out on another dataset, ImageNet. Without one, the shots
            # come from the evaluation images, which no model was trained on.
            train, target = features(self.splits[EVAL]), test
        shots, seeds = self._measurement.shots, self._measurement.seeds
        few_shot = readout.few_shot_accuracies(train, target, shots, seeds)
        return {
            "test_accuracy": test.accuracy,
            "shots": shots,
            "few_shot": few_shot,
            "few_shot_mean": statistics.mean(few_shot),
            "few_shot_deviation": statistics.stdev(few_shot) if len(few_shot) > 1 else None,
        }


def require_splits(info: DatasetInfo, names: Sequence[str]) -> None:
    """Raises ValueError if one of the splits has no image."""
    for name in names:
        if not info.examples.get(name):
            raise ValueError(
                f"the study requires images in the split {name!r}; {info.source} has none. Leave "
                "out the split folders, or state them with --splits."
            )
