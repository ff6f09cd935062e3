# SPDX-License-Identifier: Apache-2.0
"""open_export: an exported model in Keras again. upscale_export: one for larger images."""

from __future__ import annotations

import dataclasses
import json

from mixer_tf import factory
from mixer_tf.checkpoints.loading import load_weights
from mixer_tf.checkpoints.upscaling import upscale
from mixer_tf.export import saved_model
from mixer_tf.models.base import ConfiguredModel
from mixer_tf.recipes.schema import Recipe
from mixer_tf.serving import contract, locations


@dataclasses.dataclass(frozen=True)
class Export:
    """An exported model, opened.

    Attributes:
        model: with its weights, in float32.
        recipe: that it was trained with.
        class_names: in label order.
    """

    model: ConfiguredModel
    recipe: Recipe
    class_names: tuple[str, ...]


def open_export(path: str) -> Export:
    """Opens a model that this package has exported.

    Args:
        path: a SavedModel, or a folder that `locations.resolve_saved_model` knows.

    Raises:
        ValueError: there is none.
    """
    folder = locations.resolve_saved_model(path)
    recipe = Recipe.from_json(locations.read_asset(folder, contract.RECIPE_FILE))
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
    """Writes an exported model for larger images, as `upscale` makes it.

    Args:
        source: a SavedModel of this package, or a folder as in `locations.resolve_saved_model`.
        target: folder of the new SavedModel; what lies there is replaced.
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
