# SPDX-License-Identifier: Apache-2.0
"""What a run has changed of its recipe, and the options that change it again. No TensorFlow."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from mixer_tf import recipes
from mixer_tf.models import costs
from mixer_tf.recipes.schema import Recipe
from mixer_tf.reports.facts import RecipeFacts
from mixer_tf.serving import contract


def describe(
    recipe: Recipe, num_classes: int | None = None, tuned: Mapping[str, Any] | None = None
) -> RecipeFacts:
    """Returns the fields of a recipe, and which of them differ from the recipe of its name.

    Args:
        recipe: what was trained.
        num_classes: number of classes of the data; None if unknown.
        tuned: "section.field" → the value that a search has found.
    """
    fields = flat(recipe)
    base = flat(recipes.get(recipe.name)) if recipe.name in recipes.list_names() else None
    return RecipeFacts(
        name=recipe.name,
        fields=fields,
        changes=None if base is None else differences(base, fields),
        tuned=dict(tuned or {}),
        parameters=(
            costs.count_parameters(recipe.model.config(num_classes)) if num_classes else None
        ),
    )


def flat(recipe: Recipe) -> dict[str, Any]:
    """Returns every field of a recipe: "optimizer.learning_rate" → 0.001."""
    return {
        f"{section}.{name}": list(value) if isinstance(value, tuple) else value
        for section, options in recipe.sections().items()
        for name, value in options.to_dict().items()
    }


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Returns the fields with different values; a field that is missing has the value None."""
    return {
        name: (before.get(name), now.get(name))
        for name in {**before, **now}
        if before.get(name) != now.get(name)
    }


def option_words(facts: RecipeFacts, without: Iterable[str] = (), model: str = "") -> list[str]:
    """Returns --recipe and --set as they are typed.

    Args:
        facts: the recipe.
        without: fields to leave out, such as those that a search sets.
        model: the folder of the exported model, which holds the recipe that no name stands for; ""
            without one, where the user has to name the file.
    """
    if facts.changes is None:
        parts = (model, contract.EXTRA_ASSETS, contract.RECIPE_FILE)
        return [f"--recipe={os.path.join(*parts) if model else 'FILE'}"]
    words = [f"--recipe={facts.name}"]
    for name, (_, value) in facts.changes.items():
        if name in facts.fields and name not in without:
            words += ["--set", f"{name}={as_text(value)}"]
    return words


def as_text(value: Any) -> str:
    """Returns a value as `--set` takes it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
