# SPDX-License-Identifier: Apache-2.0
"""Recipes: everything that a training needs to know besides the data, one file each.

recipe = recipes.get("photos").override(["training.epochs=20"])
"""

from __future__ import annotations

import difflib
import importlib

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

_MODULES = ("digits", "photos", "cifar10", "finetune", "pretrain")


def get(name: str) -> Recipe:
    """Returns the recipe of that name.

    Raises:
        ValueError: there is none; the message names the nearest ones.
    """
    known = _recipes()
    if name not in known:
        near = difflib.get_close_matches(name, known, 3)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise ValueError(f"recipe must be one of {', '.join(known)}; got {name!r}.{hint}")
    return known[name]


def default_for(spec: str) -> Recipe:
    """Returns the recipe for a source that is trained without naming one."""
    return get("digits" if spec == "digits" else "photos")


def list_names() -> list[str]:
    """Returns the names of all recipes, the small ones first."""
    return list(_recipes())


def _recipes() -> dict[str, Recipe]:
    modules = [importlib.import_module(f"{__name__}.{module}") for module in _MODULES]
    return {recipe.name: recipe for module in modules for recipe in module.RECIPES}
