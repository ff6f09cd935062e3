# SPDX-License-Identifier: Apache-2.0
"""upscale_export: an exported model for larger images, exported in its turn."""

from __future__ import annotations

import dataclasses
import json
import os

import tensorflow as tf

from mixer_tf.checkpoints.loading import load_weights
from mixer_tf.checkpoints.upscaling import upscale
from mixer_tf.recipes.schema import Recipe
from mixer_tf.serving import contract, locations
from mixer_tf.training import assembly, export


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
        source: a SavedModel of this package, or a folder that `locations.find_model` knows.
        target: folder of the new SavedModel; what lies there is replaced.
        factor, image_size, interpolate: see `upscale`.

    Returns:
        The recipe of the new model, for fine-tuning.

    Raises:
        ValueError: there is no model at `source`, or its size cannot become the new one.
    """
    folder = locations.find_model(source)
    recipe = Recipe.from_json(_read(folder, contract.RECIPE_FILE))
    class_names = json.loads(_read(folder, contract.CLASS_NAMES_FILE))
    model = assembly.build_model(recipe, len(class_names), dtype="float32")
    load_weights(model, folder)
    larger = upscale(model, factor, image_size=image_size, interpolate=interpolate)
    options = dataclasses.replace(
        recipe.model,
        image_size=larger.config.image_size[0],
        tokens_mlp_dim=larger.config.tokens_mlp_dim,
    )
    recipe = dataclasses.replace(recipe, model=options)
    export.export_saved_model(larger, recipe, class_names, target)
    return recipe


def _read(folder: str, name: str) -> str:
    path = os.path.join(folder, contract.EXTRA_ASSETS, name)
    if not tf.io.gfile.exists(path):
        raise ValueError(f"an exported model must hold {name}; {path} is not there.")
    with tf.io.gfile.GFile(path) as file:
        return file.read()
