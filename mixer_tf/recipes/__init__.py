# SPDX-License-Identifier: Apache-2.0
"""Recipes: everything that defines a training except the dataset; one module per recipe or table.

A module of this package that defines RECIPES, a tuple of `Recipe`, is found by itself.

recipe = recipes.get("photos").override(["training.epochs=20"])
"""

from __future__ import annotations

import functools
import importlib
import pkgutil

from mixer_tf.messages import did_you_mean
from mixer_tf.models import costs
from mixer_tf.recipes.schema import (
    DataOptions,
    ModelOptions,
    OptimizerOptions,
    Recipe,
    TrainingOptions,
)

__all__ = [
    "DataOptions",
    "ModelOptions",
    "OptimizerOptions",
    "Recipe",
    "TrainingOptions",
    "default_for",
    "get",
    "list_names",
]


def get(name: str) -> Recipe:
    """Returns the recipe with that name.

    Raises:
        ValueError: there is none; the message names the nearest ones.
    """
    known = _recipes()
    if name not in known:
        raise ValueError(
            f"recipe must be one of {', '.join(known)}; got {name!r}.{did_you_mean(name, known)}"
        )
    return known[name]


def default_for(spec: str) -> Recipe:
    """Returns the recipe for a source that is trained without naming one."""
    return get("digits" if spec == "digits" else "photos")


def list_names() -> list[str]:
    """Returns the names of all recipes: first the one with the cheapest model per image."""
    return list(_recipes())


@functools.cache
def _recipes() -> dict[str, Recipe]:
    names = [module.name for module in pkgutil.iter_modules(__path__)]
    modules = [importlib.import_module(f"{__name__}.{name}") for name in names]
    found = [recipe for module in modules for recipe in getattr(module, "RECIPES", ())]
    return {recipe.name: recipe for recipe in sorted(found, key=_cost_and_name)}


def _cost_and_name(recipe: Recipe) -> tuple[int, str]:
    return costs.count_multiply_adds(recipe.model.config(num_classes=1)), recipe.name
