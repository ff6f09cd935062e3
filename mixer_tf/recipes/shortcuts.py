# SPDX-License-Identifier: Apache-2.0
"""Short options for fields of a recipe that nearly everyone changes, such as --epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mixer_tf.recipes.schema import Recipe

# Name of the option's value -> (option, field).
SHORTCUTS = {
    "epochs": ("--epochs", "training.epochs"),
    "batch_size": ("--batch-size", "training.batch_size"),
    "learning_rate": ("--learning-rate", "optimizer.learning_rate"),
}


def override(recipe: Recipe, overrides: Sequence[str], values: Mapping[str, object]) -> Recipe:
    """Returns the recipe with the overrides of --set and the short options.

    A number of epochs replaces the number of steps that a recipe may have instead.

    Args:
        recipe: the recipe.
        overrides: "section.field=value" items, as of `Recipe.override`.
        values: value of each short option by its key in `SHORTCUTS`; None where it is not given.

    Raises:
        ValueError: an unknown field, a value that its rule or type forbids, or a short option that
            contradicts an override.
    """
    changed = recipe.override(overrides)
    given = {key: value for key, value in values.items() if value is not None}
    named = {override.partition("=")[0].strip() for override in overrides}
    for key, value in given.items():
        option, field = SHORTCUTS[key]
        if field in named and _value(changed, field) != value:
            raise ValueError(
                f"{option} and --set {field} must not differ; got {value} and "
                f"{_value(changed, field)}. Leave one of them out."
            )
    short = [f"{SHORTCUTS[key][1]}={value}" for key, value in given.items()]
    return recipe.override([*overrides, *short])


def _value(recipe: Recipe, field: str):
    section, _, name = field.partition(".")
    return getattr(getattr(recipe, section), name)
