# SPDX-License-Identifier: Apache-2.0
"""Opens an exported model in Keras again, and exports it for larger images."""

from __future__ import annotations

import dataclasses
import json

from mixer_tf import factory
from mixer_tf.checkpoints.loading import load_weights
from mixer_tf.checkpoints.upscaling import upscale
from mixer_tf.export import saved_model
from mixer_tf.models.base import ConfiguredModel
from mixer_tf.recipes.exported import read_recipe
from mixer_tf.recipes.schema import Recipe
from mixer_tf.serving import contract, locations


@dataclasses.dataclass(frozen=True)
class Export:
    """An exported model, opened.

    Attributes:
        model: the Keras model with the exported weights, in float32.
        recipe: the recipe that it was trained with.
        class_names: names of the classes in label order.
    """

    model: ConfiguredModel
    recipe: Recipe
    class_names: tuple[str, ...]


def open_export(path: str) -> Export:
    """Opens a model that this package has exported.

    Args:
        path: a SavedModel, or a folder that `locations.resolve_saved_model` knows.

    Raises:
        ValueError: there is no model at `path`, or mixer_tf did not export it.
    """
    folder = locations.resolve_saved_model(path)
    recipe = read_recipe(folder)
    class_names = tuple(json.loads(locations.read_asset(folder, contract.CLASS_NAMES_FILE)))
    model = factory.for_export(recipe, len(class_names))
    load_weights(model, folder)
    return Export(model, recipe, class_names)


def upscale_export(
    source: str,
    target: str,
    factor: int | None = None,
    *,
    image_size: int | None = None,
    interpolate: bool = False,
) -> Recipe:
    """Exports an exported model for larger images; see `upscale`.

    Args:
        source: a SavedModel that mixer_tf exported, or a folder that
            `locations.resolve_saved_model` knows.
        target: folder of the new SavedModel; an existing folder is replaced.
        factor, image_size, interpolate: see `upscale`.

    Returns:
        The recipe of the new model, for fine-tuning.

    Raises:
        ValueError: there is no model at `source`, or its size cannot become the new one.
    """
    opened = open_export(source)
    larger = upscale(opened.model, factor, image_size=image_size, interpolate=interpolate)
    options = opened.recipe.model.replace(
        image_size=larger.config.image_size[0], tokens_mlp_dim=larger.config.tokens_mlp_dim
    )
    recipe = opened.recipe.replace(model=options)
    saved_model.export_saved_model(larger, recipe, opened.class_names, target)
    return recipe
