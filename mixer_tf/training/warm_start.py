# SPDX-License-Identifier: Apache-2.0
"""Reads the weights of an earlier export, from which the training of the same model continues."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mixer_tf.checkpoints.loading import NOT_IN_SHAPES
from mixer_tf.export.loading import Export, open_export
from mixer_tf.recipes.schema import Recipe


def read_weights(path: str, recipe: Recipe, class_names: Sequence[str]) -> list[np.ndarray]:
    """Returns the weights of an exported model, for `initial_weights` of `trainer.fit`.

    Args:
        path: the SavedModel.
        recipe: the recipe of the training that starts from it.
        class_names: names of the classes of the data, in label order.

    Raises:
        ValueError: the export has other classes, or is another model than the recipe's.
    """
    base = open_export(path)
    differences = [*_differences(base, recipe, tuple(class_names))]
    if differences:
        raise ValueError(
            f"a warm start needs the classes and the model of {path}; {'; '.join(differences)}. "
            "Leave out --warm-start once."
        )
    return base.model.get_weights()


def _differences(base: Export, recipe: Recipe, class_names: tuple[str, ...]) -> Iterator[str]:
    """Yields what the export has, and what the data or the recipe have."""
    if base.class_names != class_names:
        yield f"it has {_classes(base.class_names)}, the data have {_classes(class_names)}"
    ours, theirs = recipe.model, base.recipe.model
    if ours.family is not theirs.family:
        yield f"it is {theirs.name}, the recipe has {ours.name}"
        return
    expected = ours.config(len(class_names))
    fields = ("image_size", *ours.family.dimensions, *NOT_IN_SHAPES[type(expected)])
    for field in fields:
        found, wanted = getattr(base.model.config, field), getattr(expected, field)
        is_upscaled = field == "tokens_mlp_dim" and ours.weights
        if found != wanted and not is_upscaled:
            yield f"its {field} is {found}, the recipe's {wanted}"


def _classes(names: tuple[str, ...]) -> str:
    shown = ", ".join(map(repr, names[:5])) + (", …" if len(names) > 5 else "")
    return f"{len(names)} classes ({shown})"
