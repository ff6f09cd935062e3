# SPDX-License-Identifier: Apache-2.0
"""What a study needs of an exported model: a Keras model again, and images as it sees them."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from mixer_tf.checkpoints.loading import load_weights
from mixer_tf.datasets import quarantine
from mixer_tf.datasets.sources import Source
from mixer_tf.images import UnusableImageError
from mixer_tf.models.configured import ConfiguredModel
from mixer_tf.recipes.schema import Recipe
from mixer_tf.serving import contract, locations
from mixer_tf.training import assembly
from mixer_tf.training.input_pipeline import decode_and_crop


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
        path: a SavedModel, or a folder that `locations.find_model` knows.

    Raises:
        ValueError: there is none.
    """
    folder = locations.find_model(path)
    recipe = Recipe.from_json(_read(folder, contract.RECIPE_FILE))
    class_names = tuple(json.loads(_read(folder, contract.CLASS_NAMES_FILE)))
    model = assembly.build_model(recipe, len(class_names), dtype="float32")
    load_weights(model, folder)
    return Export(model, recipe, class_names)


def image_batches(
    export: Export, source: Source, split: str, batch_size: int = 64
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields the images of a split as the model sees them, without those that cannot be used.

    Returns:
        (images uint8 [N, S, S, 3], labels int [N] by the model's class names).

    Raises:
        ValueError: a class of the source is not one of the model's.
    """
    unknown = sorted(set(source.class_names) - set(export.class_names))
    if unknown:
        raise ValueError(f"the model must know all classes of the source; not {unknown[0]!r}.")
    data, side = export.recipe.data, export.recipe.model.image_size
    records = _usable_records(source, split)
    while batch := list(itertools.islice(records, batch_size)):
        images = [decode_and_crop(tf.constant(r.encoded), data.crop, side).numpy() for r in batch]
        labels = [export.class_names.index(record.class_name) for record in batch]
        yield np.stack(images), np.array(labels)


def _usable_records(source: Source, split: str) -> Iterator:
    for record in itertools.chain.from_iterable(map(source.read, source.entries(split))):
        try:
            yield quarantine.check_record(record)
        except UnusableImageError:
            continue


def _read(folder: str, name: str) -> str:
    path = os.path.join(folder, contract.EXTRA_ASSETS, name)
    if not tf.io.gfile.exists(path):
        raise ValueError(f"an exported model must hold {name}; {path} is not there.")
    with tf.io.gfile.GFile(path) as file:
        return file.read()
