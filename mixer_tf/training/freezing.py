# SPDX-License-Identifier: Apache-2.0
"""Layers that a training does not change, by patterns of their names."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator

import tensorflow as tf

from mixer_tf.messages import did_you_mean, listing
from mixer_tf.models.base import ConfiguredModel


def freeze(model: ConfiguredModel, patterns: str | None) -> None:
    """Freezes the layers that match; gradient, weight decay and average leave them as they are.

    Call it before the optimizer is built. `model.weights` may then be in another order, which
    `unfreeze` restores.

    Args:
        model: the model.
        patterns: names of layers separated by commas, such as "stem,block_*": those of the
            intermediates of the model, or of its Keras layers and what is in them, such as
            "MixerBlock_0/token_mixing"; * stands for any characters. None for nothing.

    Raises:
        ValueError: a pattern matches no layer with weights, or nothing is left to train.
    """
    if not patterns:
        return
    layers = dict(_named_layers(model))
    for pattern in filter(None, map(str.strip, patterns.split(","))):
        found = fnmatch.filter(layers, pattern)
        if not found:
            raise ValueError(_no_match(pattern, list(layers)))
        for name in found:
            layers[name].trainable = False
    if not model.trainable_variables:
        raise ValueError(
            f"training.freeze must leave weights to train; {patterns!r} freezes all of "
            f"{model.name}. Leave out the head, for example."
        )


def unfreeze(model: tf.keras.Model) -> None:
    """Makes all layers trainable, so that `model.weights` are in the order of a new model."""
    model.trainable = True


def _named_layers(model: ConfiguredModel) -> Iterator[tuple[str, tf.keras.layers.Layer]]:
    """Yields (name, layer) of all layers with weights; an intermediate also by its own name."""
    for name, layer_name in model.layer_names.items():
        if model.get_layer(layer_name).weights:
            yield name, model.get_layer(layer_name)
    yield from model.named_layers()


def _no_match(pattern: str, names: list[str]) -> str:
    return (
        f"training.freeze must name layers of the model; no layer with weights matches "
        f"{pattern!r}.{did_you_mean(pattern, names)} Layers: {listing(names, most=12)}."
    )
