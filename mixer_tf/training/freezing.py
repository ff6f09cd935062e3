# SPDX-License-Identifier: Apache-2.0
"""Layers that a training does not change, by patterns of their names."""

from __future__ import annotations

import tensorflow as tf

from mixer_tf.models.base import ConfiguredModel
from mixer_tf.training.layer_patterns import matching_layers


def freeze(model: ConfiguredModel, patterns: str | None) -> None:
    """Freezes the layers that match; gradient, weight decay and average leave them as they are.

    Call it before the optimizer is built. `model.weights` may then be in another order, which
    `unfreeze` restores.

    Args:
        model: the model.
        patterns: those of `matching_layers`, separated by commas, such as "stem,block_*". None for
            nothing.

    Raises:
        ValueError: a pattern matches no layer with weights, or nothing is left to train.
    """
    if not patterns:
        return
    for pattern in filter(None, map(str.strip, patterns.split(","))):
        for layer in matching_layers(model, pattern, "training.freeze").values():
            layer.trainable = False
    if not model.trainable_variables:
        raise ValueError(
            f"training.freeze must leave weights to train; {patterns!r} freezes all of "
            f"{model.name}. Leave out the head, for example."
        )


def unfreeze(model: tf.keras.Model) -> None:
    """Makes all layers trainable, so that `model.weights` are in the order of a new model."""
    model.trainable = True
