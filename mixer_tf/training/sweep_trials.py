# SPDX-License-Identifier: Apache-2.0
"""The trials of a search for hyperparameters, their results, and which of them is the best."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import json
import os
import re
import statistics
from collections.abc import Sequence

from mixer_tf import storage
from mixer_tf.checkpoints.initial_weights import weights_state
from mixer_tf.recipes.schema import Recipe
from mixer_tf.training.run_directory import TRIALS
from mixer_tf.training.search_space import SEED, Point

BEST_RECIPE = "best_recipe.json"
RESULTS = "results.csv"
_RESULT = "result.json"
_MAX_NAME = 80


@dataclasses.dataclass(frozen=True)
class Trial:
    """One training of a sweep.

    Attributes:
        number: from 1.
        point: the assignments that it tries.
        seed: the random seed of the training.
        folder: where its files are.
        recipe: the whole recipe.
    """

    number: int
    point: Point
    seed: int
    folder: str
    recipe: Recipe


@dataclasses.dataclass(frozen=True)
class Result:
    """What a trial has reached.

    Attributes:
        trial: the trial.
        accuracy: top-1 on the evaluation split; None if it failed.
        epoch: the best epoch.
        seconds: duration.
        problem: why it failed, in one line; "" if it did not.
    """

    trial: Trial
    accuracy: float | None
    epoch: int
    seconds: float
    problem: str = ""


@dataclasses.dataclass(frozen=True)
class Score:
    """The results of one point over its seeds.

    Attributes:
        point: the assignments.
        accuracies: top-1 of each seed that did not fail.
        failed: number of seeds that failed.
    """

    point: Point
    accuracies: tuple[float, ...]
    failed: int

    @property
    def mean(self) -> float:
        """Mean top-1 over the seeds; -1 if all of them failed, or one did."""
        return -1.0 if self.failed or not self.accuracies else statistics.mean(self.accuracies)

    @property
    def deviation(self) -> float | None:
        """Sample standard deviation over the seeds; None for less than two."""
        return statistics.stdev(self.accuracies) if len(self.accuracies) > 1 else None


def make_trials(
    recipe: Recipe, points: Sequence[Point], seeds: Sequence[int], root: str, data: str = ""
) -> list[Trial]:
    """Returns one trial for each point and seed.

    The folder of a trial is named by its recipe, its images and the state of its initial weights,
    so that another grid reuses what is finished.

    Args:
        recipe: what the points change.
        points: the assignments of each trial.
        seeds: the seeds of each point.
        root: the folder of all trials.
        data: the state of the images; trials of another one are not reused.

    Raises:
        ValueError: an assignment does not fit the recipe.
    """
    trials = []
    for point in points:
        for seed in seeds:
            changed = recipe.override([*point, f"{SEED}={seed}"])
            folder = os.path.join(root, TRIALS, _name(point, changed, data))
            trials.append(Trial(len(trials) + 1, point, seed, folder, changed))
    return trials


def read_result(trial: Trial) -> Result | None:
    """Returns what an earlier run of the same trial has reached; None if it did not finish."""
    path = os.path.join(trial.folder, _RESULT)
    if not storage.exists(path):
        return None
    return Result(trial, **json.loads(storage.read_text(path)))


def write_result(
    trial: Trial, accuracy: float | None, epoch: int, seconds: float, problem: str = ""
) -> None:
    """Writes what `read_result` reads; for the arguments see `Result`."""
    values = {"accuracy": accuracy, "epoch": epoch, "seconds": seconds, "problem": problem}
    storage.write_text(os.path.join(trial.folder, _RESULT), json.dumps(values, indent=2))


def scores(results: Sequence[Result]) -> list[Score]:
    """Returns the score of each point, the best first; of equal ones, the first that was tried."""
    by_point: dict[Point, list[Result]] = {}
    for result in results:
        by_point.setdefault(result.trial.point, []).append(result)
    found = [
        Score(
            point,
            tuple(r.accuracy for r in group if r.accuracy is not None),
            sum(r.accuracy is None for r in group),
        )
        for point, group in by_point.items()
    ]
    return sorted(found, key=lambda score: -score.mean)


def write_results(recipe: Recipe, results: Sequence[Result], root: str) -> str | None:
    """Writes `results.csv`, and `best_recipe.json` if a point did not fail.

    Returns:
        The path of the recipe, or None.
    """
    fields = list(dict.fromkeys(_field(a) for result in results for a in result.trial.point))
    rows = io.StringIO()
    writer = csv.writer(rows, lineterminator="\n")
    writer.writerow([*fields, SEED, "accuracy", "epoch", "seconds", "problem", "folder"])
    for result in results:
        values = dict(assignment.split("=", 1) for assignment in result.trial.point)
        accuracy = "" if result.accuracy is None else result.accuracy
        row = [*(values.get(field, "") for field in fields), result.trial.seed, accuracy]
        row += [result.epoch, round(result.seconds, 1), result.problem, result.trial.folder]
        writer.writerow(row)
    storage.write_text(os.path.join(root, RESULTS), rows.getvalue())
    best = scores(results)[0]
    if best.mean < 0:
        return None
    path = os.path.join(root, BEST_RECIPE)
    storage.write_text(path, recipe.override(best.point).to_json())
    return path


def _name(point: Point, recipe: Recipe, data: str) -> str:
    """Such as "learning_rate=0.01,seed=0-1f3a90": readable, different for other recipes or data."""
    parts = [assignment.partition(".")[2] for assignment in point]
    text = re.sub(r"[^\w=.,+-]", "_", ",".join([*parts, f"seed={recipe.training.seed}"]))
    weights = weights_state(recipe.model.weights) or ""
    digest = hashlib.sha256((recipe.to_json() + data + weights).encode()).hexdigest()
    return f"{text[:_MAX_NAME]}-{digest[:6]}"


def _field(assignment: str) -> str:
    return assignment.partition("=")[0]
