# SPDX-License-Identifier: Apache-2.0
"""From artifacts to the facts of a model: its data, its recipe and its evaluation."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence

from tfx.types import Artifact
from tfx.utils import path_utils

from components import hyperparameters
from components.evaluations import PAGE as EVALUATION_PAGE
from components.evaluations import read_class_counts, read_leaked, read_metrics
from mixer_tf import storage
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.features import TEST
from mixer_tf.recipes.schema import Recipe
from mixer_tf.reports import data_facts, recipe_changes
from mixer_tf.reports.facts import DataFacts, EvaluationFacts, RecipeFacts, RunFacts, utc
from mixer_tf.serving import contract, locations
from mixer_tf.version import __version__

Artifacts = Mapping[str, Sequence[Artifact]]


def collect_model(run: RunFacts, artifacts: Artifacts, recipe: Recipe | None = None) -> RunFacts:
    """Returns the facts of a run with those of its model.

    Args:
        run: what is known without them.
        artifacts: "examples", "source_examples", "hyperparameters", "model", "evaluation" →
            artifacts; a step that did not run has none, and others are ignored.
        recipe: the recipe of a run that has no model; None if it is not known.
    """
    uris = {name: found[0].uri for name, found in artifacts.items() if found}
    info = _info(uris)
    return dataclasses.replace(
        run,
        written=utc(),
        code_version=__version__,
        model=path_utils.serving_model_path(uris["model"]) if "model" in uris else "",
        data=_data(artifacts, uris, info),
        recipe=_recipe(uris, info, recipe),
        evaluation=_evaluation(uris, info),
    )


def _info(uris: Mapping[str, str]) -> DatasetInfo | None:
    """The dataset as the last step that has run wrote it."""
    names = (name for name in ("examples", "source_examples") if name in uris)
    return next((DatasetInfo.read(uris[name]) for name in names), None)


def _data(
    artifacts: Artifacts, uris: Mapping[str, str], info: DatasetInfo | None
) -> DataFacts | None:
    """Images that did not change are the same artifact, from the cache."""
    if info is None:
        return None
    source = DatasetInfo.read(uris["source_examples"]) if "source_examples" in uris else None
    ids = [each.id for each in artifacts.get("source_examples", ()) if each.id]
    return data_facts.describe_data(
        info, source.examples if source else None, f"artifact {ids[0]}" if ids else ""
    )


def _recipe(
    uris: Mapping[str, str], info: DatasetInfo | None, given: Recipe | None
) -> RecipeFacts | None:
    """Of the model, which has what a search and run-time parameters have changed."""
    recipe = _recipe_of_model(uris["model"]) if "model" in uris else given
    if recipe is None:
        return None
    tuned = {}
    if "hyperparameters" in uris:
        path = os.path.join(uris["hyperparameters"], hyperparameters.BEST_FILE)
        tuned = json.loads(storage.read_text(path))["values"]
    return recipe_changes.describe(recipe, info.num_classes if info else None, tuned)


def _recipe_of_model(uri: str) -> Recipe | None:
    """None where there is none that this version of mixer_tf reads: that stops no push."""
    try:
        folder = path_utils.serving_model_path(uri)
        return Recipe.from_json(locations.read_asset(folder, contract.RECIPE_FILE))
    except ValueError:
        return None


def _evaluation(uris: Mapping[str, str], info: DatasetInfo | None) -> EvaluationFacts | None:
    if "evaluation" not in uris:
        return None
    metrics = read_metrics(uris["evaluation"])
    if not metrics:
        return EvaluationFacts(TEST, {}, {}, warnings=("the test split has no usable image",))
    counts = read_class_counts(uris["evaluation"])
    page = os.path.join(uris["evaluation"], EVALUATION_PAGE)
    titles = {True: "with a duplicate in training", False: "without one"}
    return EvaluationFacts(
        split=TEST,
        metrics={name: metrics[name] for name in _shown(metrics, info)},
        classes={name: (images, counts.correct[name]) for name, images in counts.images.items()},
        slices={titles[key]: each for key, each in read_leaked(uris["evaluation"]).items()},
        warnings=tuple(counts.warnings()),
        notes=tuple(counts.notes(info.class_names if info else tuple(counts.images))),
        page=page if storage.exists(page) else "",  # older versions wrote none
    )


def _shown(metrics: Mapping[str, float], info: DatasetInfo | None) -> list[str]:
    """Top-k says nothing where there are no more than k classes."""
    is_certain = info is not None and info.num_classes <= contract.TOP_K
    return [name for name in metrics if not (is_certain and name == contract.top_k_metric())]
