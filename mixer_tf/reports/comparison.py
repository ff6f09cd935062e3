# SPDX-License-Identifier: Apache-2.0
"""Compares runs: their figures, and what differs in their recipes and data. No TensorFlow."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from mixer_tf.features import TEST
from mixer_tf.reports.facts import PIPELINE, RunFacts
from mixer_tf.reports.recipe_changes import as_text
from mixer_tf.serving import contract

# Says more only between trainings, or within one root: each has its own way to tell it.
_STATE = "state of the images"


def title(run: RunFacts) -> str:
    """Returns the name of a run: that of its folder, and for a pipeline the time of its start."""
    folder = os.path.basename(run.root.rstrip("/"))
    if run.kind != PIPELINE:
        return folder
    return f"{folder}/{run.started[:19].replace(':', '').replace('-', '').replace('T', '-')}"


def figures(run: RunFacts) -> dict[str, float | None]:
    """Returns the results of a run: name → value; None where it has none."""
    metrics = run.evaluation.metrics if run.evaluation and run.evaluation.split == TEST else {}
    scalars = run.training.scalars if run.training else {}
    top_1 = [value for _, value in scalars.get("eval/top_1", ()) if value is not None]
    losses = [value for _, value in scalars.get("train/loss", ()) if value is not None]
    steps = [points[-1][0] for points in scalars.values() if points]
    return {
        "test top-1": metrics.get("accuracy"),
        f"test {contract.top_k_title()}": metrics.get(contract.top_k_metric()),
        "eval top-1, best": max(top_1, default=None),
        "train loss, last": losses[-1] if losses else None,
        "steps": max(steps, default=None),
        "seconds of training": round(run.training.seconds) if run.training else None,
    }


def data(run: RunFacts) -> dict[str, Any]:
    """Returns what a run was trained on: name → value."""
    if run.data is None:
        return {}
    found: dict[str, Any] = {"source": run.data.source, "classes": len(run.data.class_names)}
    found |= {f"images, {split}": number for split, number in run.data.images.items()}
    found["unusable"] = run.quarantine.images if run.quarantine else None
    if run.duplicates:
        found["duplicates removed"] = sum(run.duplicates.removed.values())
    found[_STATE] = run.data.fingerprint or None
    return found


def differences(runs: Sequence[RunFacts]) -> dict[str, dict[str, list[Any]]]:
    """Returns the section → name → value of each run, of all that is not equal in all runs.

    A value that a run does not have is None. The sections are "recipe", "options", "data" and
    "figures".
    """
    parts = {
        "recipe": [_recipe(run) for run in runs],
        "options": [_options(run) for run in runs],
        "data": [data(run) for run in runs],
        "figures": [figures(run) for run in runs],
    }
    if len({(run.kind, run.root if run.kind == PIPELINE else "") for run in runs}) > 1:
        parts["data"] = [{k: v for k, v in each.items() if k != _STATE} for each in parts["data"]]
    return {name: found for name, values in parts.items() if (found := _unequal(values))}


def _recipe(run: RunFacts) -> Mapping[str, Any]:
    return {"recipe": run.recipe.name, **run.recipe.fields} if run.recipe else {}


def _options(run: RunFacts) -> dict[str, str]:
    """Option → its value; several values of one option are joined."""
    found: dict[str, list[str]] = {}
    for word in run.options:
        name, _, value = word.partition("=")
        found.setdefault(name, []).append(value or "yes")
    return {name: ", ".join(values) for name, values in found.items()}


def _unequal(values: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for each in values for name in each)
    columns = {name: [each.get(name) for each in values] for name in names}
    return {name: column for name, column in columns.items() if any(v != column[0] for v in column)}


def shown(value: Any, section: str = "figures") -> str:
    """Returns a value for a table.

    Args:
        value: the value; None for a dash.
        section: see `differences`; those of a recipe are shown as `--set` takes them.
    """
    if value is None:
        return "–"
    if section == "recipe":
        return as_text(value)
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) < 100 else f"{value:,.1f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return as_text(value)
