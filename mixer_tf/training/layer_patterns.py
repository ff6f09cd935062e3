# SPDX-License-Identifier: Apache-2.0
"""Finds the layers of a model by patterns of their names, which fields of a recipe hold."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator

import tensorflow as tf

from mixer_tf.messages import did_you_mean, listing
from mixer_tf.models.base import ConfiguredModel


def matching_layers(
    model: ConfiguredModel, pattern: str, field: str
) -> dict[str, tf.keras.layers.Layer]:
    """Returns name -> layer of those with weights whose name matches.

    Args:
        model: the model.
        pattern: a name among the intermediates of the model, or of its Keras layers and what is in
            them, such as "MixerBlock_0/token_mixing"; * stands for any characters.
        field: the field of the recipe that the pattern is from, for the message.

    Raises:
        ValueError: there is none.
    """
    layers = dict(_named_layers(model))
    found = fnmatch.filter(layers, pattern)
    if not found:
        names = list(layers)
        raise ValueError(
            f"{field} must name layers of the model; no layer with weights matches "
            f"{pattern!r}.{did_you_mean(pattern, names)} Layers: {listing(names, most=12)}."
        )
    return {name: layers[name] for name in found}


def _named_layers(model: ConfiguredModel) -> Iterator[tuple[str, tf.keras.layers.Layer]]:
    """Yields (name, layer) of all layers with weights; an intermediate also by its own name."""
    for name, layer_name in model.layer_names.items():
        if model.get_layer(layer_name).weights:
            yield name, model.get_layer(layer_name)
    yield from model.named_layers()
