# SPDX-License-Identifier: Apache-2.0
"""Hyperparameters as TFX's Tuner writes them and its Trainer reads them: keras_tuner's config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mixer_tf.recipes.schema import Recipe

# The files in the artifacts HyperParameters and TunerResults, as TFX's own Tuner names them.
BEST_FILE = "best_hyperparameters.txt"
RESULTS_FILE = "tuner_results.json"


def assignments(config: Mapping[str, Any]) -> list[str]:
    """Returns the values as "section.field=value" texts.

    Args:
        config: `HyperParameters.get_config()` of keras_tuner.
    """
    return [f"{name}={value}" for name, value in config["values"].items()]


def apply(recipe: Recipe, config: Mapping[str, Any] | None) -> Recipe:
    """Returns the recipe with the hyperparameters in it.

    Args:
        recipe: what was tuned.
        config: see `assignments`; None changes nothing.

    Raises:
        ValueError: the recipe has no such field, or its rule forbids the value.
    """
    if config is None:
        return recipe
    try:
        return recipe.override(assignments(config))
    except ValueError as error:
        raise ValueError(f"hyperparameters must be fields of the recipe: {error}") from None
