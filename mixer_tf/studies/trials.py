# SPDX-License-Identifier: Apache-2.0
"""Runs the trainings of a study one after another; each result is stored at once."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence

import tensorflow as tf

from mixer_tf.models import costs
from mixer_tf.studies.study_folder import StudyFolder, Trial
from mixer_tf.training.callbacks import TrainingDivergedError
from mixer_tf.training.length import TrainingLength

Report = Callable[[int, int], None]


def run(
    trials: Sequence[Trial],
    folder: StudyFolder,
    train: Callable[[Trial], dict],
    finished: Callable[[Trial, dict, bool], None] = lambda trial, result, is_new: None,
) -> list[dict]:
    """Trains what is not finished, and returns all results, in the order of the trials.

    A training whose loss is no longer finite has the result {"model": …, …, "problem": why}; the
    others go on.

    Args:
        trials: what to train.
        folder: where the results are stored; the caller holds its lock.
        train: trains one trial and returns its result, which is JSON.
        finished: called with each trial, its result, and whether it was trained now.
    """
    results = []
    for trial in trials:
        result = folder.read_result(trial)
        is_new = result is None
        if is_new:
            result = _train(trial, train)
            folder.write_result(trial, result)
        results.append(result)
        finished(trial, result, is_new)
    return results


def _train(trial: Trial, train: Callable[[Trial], dict]) -> dict:
    tf.keras.backend.clear_session()  # frees the models of earlier trials
    gc.collect()
    try:
        return train(trial)
    except TrainingDivergedError as error:
        problem = str(error).partition("\n")[0]
        return {"model": trial.model, **trial.settings, "problem": problem}


class StepProgress(tf.keras.callbacks.Callback):
    """Reports the number of steps that are done, and of all steps.

    Args:
        length: the length of the training.
        report: called with both numbers.
    """

    _supports_tf_logs = True

    def __init__(self, length: TrainingLength, report: Report):
        super().__init__()
        self._length, self._report = length, report

    def on_epoch_begin(self, epoch, logs=None):
        self._first = self._length.end(epoch)

    def on_train_batch_end(self, batch, logs=None):
        self._report(self._first + batch + 1, self._length.steps)


class TimeLeft:
    """Estimates how long the remaining trainings of a study take.

    A model that was trained before takes as long as then; of another one, the time follows from its
    multiply-adds.

    Args:
        trials: all trainings.
        work: the number of images that each of them processes.
    """

    def __init__(self, trials: Sequence[Trial], work: Callable[[Trial], float]):
        self._left = {trial.folder_name: trial for trial in trials}
        self._work = work
        self._seconds: dict[str, float] = {}
        self._images: dict[str, float] = {}
        self._shares: dict[str, float] = {}
        self._operations = 0.0
        self._start = time.monotonic()

    def step(self, trial: Trial, step: int, steps: int) -> None:
        """Takes a finished step of a training; the first one tells how much was done before."""
        self._shares.setdefault(trial.folder_name, (steps - step + 1) / steps)

    def finished(self, trial: Trial, is_new: bool) -> float | None:
        """Returns the seconds that are left after a trial; None as long as nothing was trained."""
        now = time.monotonic()
        self._left.pop(trial.folder_name, None)
        if is_new:
            seconds = now - self._start
            images = self._work(trial) * self._shares.get(trial.folder_name, 1.0)
            self._seconds[trial.model] = self._seconds.get(trial.model, 0.0) + seconds
            self._images[trial.model] = self._images.get(trial.model, 0.0) + images
            self._operations += images * _operations(trial)
        self._start = now
        if not self._seconds:
            return None
        return sum(map(self._expected, self._left.values()))

    def _expected(self, trial: Trial) -> float:
        if trial.model in self._seconds:
            return self._work(trial) * self._seconds[trial.model] / self._images[trial.model]
        per_operation = sum(self._seconds.values()) / self._operations
        return self._work(trial) * _operations(trial) * per_operation


def _operations(trial: Trial) -> int:
    return costs.count_multiply_adds(trial.recipe.model.config(num_classes=1))
