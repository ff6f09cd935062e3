# SPDX-License-Identifier: Apache-2.0
"""The results of a search in the files of TFX's own Tuner, which any tool for TFX reads."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import keras_tuner

from components.hyperparameters import BEST_FILE, RESULTS_FILE
from mixer_tf import storage
from mixer_tf.training import sweep_trials

_PLAIN = (bool, int, float, str)


def write(results: Sequence[sweep_trials.Result], best_folder: str, results_folder: str) -> None:
    """Writes the best hyperparameters, and one record for each trial.

    Args:
        results: one for each combination of hyperparameters.
        best_folder: folder of the artifact HyperParameters.
        results_folder: folder of the artifact TunerResults.

    Raises:
        ValueError: all trials failed.
    """
    ranked = sorted(results, key=_rank)
    if ranked[0].accuracy is None:
        raise ValueError(
            f"at least one trial must succeed; all {len(results)} failed, the first one with: "
            f"{results[0].problem}. Change the recipe or the values of --grid."
        )
    tables = [_values(result.trial) for result in ranked]
    config = _space(tables).get_config()
    records = [_record(*pair) for pair in zip(ranked, tables, strict=True)]
    _write(best_folder, BEST_FILE, config)
    _write(results_folder, RESULTS_FILE, records)


def _write(folder: str, name: str, content: object) -> None:
    storage.make_folder(folder)  # Kubeflow Pipelines v2 and Vertex AI do not make it
    storage.write_text(os.path.join(folder, name), json.dumps(content))


def _rank(result: sweep_trials.Result) -> float:
    """The best first, of equal ones the first that was tried; failed ones last."""
    return 1.0 if result.accuracy is None else -result.accuracy


def _values(trial: sweep_trials.Trial) -> dict[str, Any]:
    """Returns {"section.field": value} of what the trial has tried, typed as in its recipe."""
    sections = trial.recipe.to_dict()
    values = {}
    for assignment in trial.point:
        path, _, text = assignment.partition("=")
        section, _, field = path.strip().partition(".")
        value = sections[section][field]
        values[path.strip()] = value if isinstance(value, _PLAIN) else text.strip()
    return values


def _space(tables: Sequence[dict[str, Any]]) -> keras_tuner.HyperParameters:
    """Returns the values that were tried; the chosen ones are those of the first table."""
    space = keras_tuner.HyperParameters()
    for name in tables[0]:
        tried = list(dict.fromkeys(table[name] for table in tables))
        if len({type(value) for value in tried}) > 1:  # such as a number and "none"
            tried = [str(value) for value in tried]
        space.Choice(name, tried, default=tried[0])
    return space


def _record(result: sweep_trials.Result, values: dict[str, Any]) -> dict[str, Any]:
    """TFX's record of a trial with four columns more; a trial that failed has no score."""
    trial = {"trial_id": os.path.basename(result.trial.folder), "score": result.accuracy}
    more = {"epoch": result.epoch, "seconds": round(result.seconds, 1)}
    return {**trial, **values, **more, "problem": result.problem, "folder": result.trial.folder}
