# SPDX-License-Identifier: Apache-2.0
"""The recipe beside an exported model. No TensorFlow."""

from __future__ import annotations

import os

from mixer_tf.recipes.schema import Recipe
from mixer_tf.serving import contract, locations


def read_recipe(folder: str) -> Recipe:
    """Returns the recipe of a SavedModel that this package has exported.

    Raises:
        ValueError: mixer_tf did not export it, or the recipe is corrupt.
    """
    try:
        return Recipe.from_json(locations.read_asset(folder, contract.RECIPE_FILE))
    except ValueError as error:
        path = os.path.join(folder, contract.EXTRA_ASSETS, contract.RECIPE_FILE)
        raise ValueError(f"{path} cannot be used: {error}") from error


def recipe_of_weights(path: str | os.PathLike) -> Recipe | None:
    """Returns the recipe of a checkpoint; None for a file, or a model of another program.

    Args:
        path: a file, or a folder that `locations.resolve_saved_model` knows.
    """
    path = os.path.expanduser(os.fspath(path))
    if not os.path.isdir(path):
        return None
    folder = locations.resolve_saved_model(path)
    exists = os.path.exists(os.path.join(folder, contract.EXTRA_ASSETS, contract.RECIPE_FILE))
    return read_recipe(folder) if exists else None
