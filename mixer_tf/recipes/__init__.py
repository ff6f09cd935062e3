# SPDX-License-Identifier: Apache-2.0
"""Recipes: everything that defines a training except the dataset; one module per recipe or table.

A module of this package that defines RECIPES, a tuple of `Recipe`, is found by itself. GRIDS of the
same module holds the values that the paper tries: {name of a recipe: {field or fields: values}}.

recipe = recipes.get("photos").override(["training.epochs=20"])
"""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
import types

from mixer_tf import storage
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
    "grid",
    "list_names",
    "notes",
]


def get(name: str) -> Recipe:
    """Returns the recipe with that name.

    Args:
        name: one of `list_names()`, or the path of a JSON file that `Recipe.to_json` has written.

    Raises:
        ValueError: there is none, and the message names the nearest ones; or the file is not a
            recipe.
    """
    if name.endswith(".json"):
        return _read(name)
    known = _recipes()
    if name not in known:
        raise ValueError(
            f"there is no recipe {name!r}.{did_you_mean(name, known)} It must be one of "
            f"{', '.join(known)}."
        )
    return known[name]


def grid(name: str) -> dict[str | tuple[str, ...], tuple]:
    """Returns the values that the paper tries for a recipe; {} if it tries none.

    Args:
        name: name of a recipe.

    Returns:
        "section.field" -> values; or several fields that change together -> tuples of values.

    Raises:
        ValueError: see `get`.
    """
    get(name)
    grids = [getattr(module, "GRIDS", {}) for module in _modules()]
    return next((dict(found[name]) for found in grids if name in found), {})


def notes(name: str) -> str:
    """Returns the commands, the cost and the result of a recipe; "" for a file of one.

    It is the docstring of the module, which may have several recipes, without its title.
    """
    module = next((m for m in _modules() if get(name) in getattr(m, "RECIPES", ())), None)
    return inspect.cleandoc(module.__doc__).partition("\n")[2].strip() if module else ""


def default_for(spec: str) -> Recipe:
    """Returns the recipe for a source that is trained without naming one."""
    return get("digits" if spec == "digits" else "photos")


def list_names() -> list[str]:
    """Returns the names of all recipes: first the one with the cheapest model per image."""
    return list(_recipes())


def _read(path: str) -> Recipe:
    if not storage.exists(path):
        raise ValueError(f"a recipe must be a name or an existing file; there is no file {path}.")
    try:
        return Recipe.from_json(storage.read_text(path))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


@functools.cache
def _recipes() -> dict[str, Recipe]:
    found = [recipe for module in _modules() for recipe in getattr(module, "RECIPES", ())]
    return {recipe.name: recipe for recipe in sorted(found, key=_cost_and_name)}


def _modules() -> list[types.ModuleType]:
    names = [module.name for module in pkgutil.iter_modules(__path__)]
    return [importlib.import_module(f"{__name__}.{name}") for name in names]


def _cost_and_name(recipe: Recipe) -> tuple[int, str]:
    return costs.count_multiply_adds(recipe.model.config(num_classes=1)), recipe.name
