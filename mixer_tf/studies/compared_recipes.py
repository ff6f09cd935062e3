# SPDX-License-Identifier: Apache-2.0
"""The recipes that a study compares, from names of models or recipes and changes. No TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence

from mixer_tf import recipes
from mixer_tf.messages import did_you_mean
from mixer_tf.models import registry
from mixer_tf.recipes.schema import Recipe


def compared_recipes(
    base: Recipe, names: Sequence[str], assignments: Sequence[str] = ()
) -> dict[str, Recipe]:
    """Returns the recipes to compare by their names.

    Args:
        base: what a name of a model takes its data, optimizer and training from, and the only
            recipe without names.
        names: each is a model, such as "vit_s16", or a recipe: its name, or its JSON file.
        assignments: "section.field=value" for all recipes, "NAME:section.field=value" for the one
            with that name. The latter count more.

    Raises:
        ValueError: a name is unknown or given twice, or a change is not possible.
    """
    names = list(names) or [base.name]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"the models must be different; got {twice} twice.")
    common, own = _by_owner(assignments, names)
    return {name: _changed(name, base, [*common, *own[name]]) for name in names}


def uses_base(names: Sequence[str]) -> bool:
    """Whether one of the names is that of a model, or there is none."""
    return not names or not all(_is_recipe(name) for name in names)


def _by_owner(
    assignments: Sequence[str], names: Sequence[str]
) -> tuple[list[str], dict[str, list[str]]]:
    common, own = [], {name: [] for name in names}
    for assignment in assignments:
        field, _, _ = assignment.partition("=")
        owner, colon, _ = field.rpartition(":")
        if not colon:
            common.append(assignment)
        elif owner.strip() in own:
            own[owner.strip()].append(assignment[len(owner) + 1 :])
        else:
            raise ValueError(
                f"what stands before the colon must be one of {', '.join(names)}; got "
                f"{assignment!r}.{did_you_mean(owner, names)}"
            )
    return common, own


def _changed(name: str, base: Recipe, assignments: Sequence[str]) -> Recipe:
    if name == base.name:
        recipe = base
    elif _is_recipe(name):
        recipe = recipes.get(name)
    else:
        recipe, assignments = base, [f"model.name={_canonical(name)}", *assignments]
    try:
        return recipe.override(assignments)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: {error}") from None


def _is_recipe(name: str) -> bool:
    return name.endswith(".json") or name in recipes.list_names()


def _canonical(name: str) -> str:
    try:
        return registry.canonical_name(name)
    except ValueError:
        models = [each for family in registry.FAMILIES for each in registry.list_models(family)]
        raise ValueError(
            "a model must be the name of a model or of a recipe, which `mixer models` and `mixer "
            f"recipes` list, or the JSON file of a recipe; got {name!r}."
            f"{did_you_mean(name, [*recipes.list_names(), *models])}"
        ) from None
