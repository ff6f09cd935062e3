# SPDX-License-Identifier: Apache-2.0
"""Learning rates by layer: the factor of each weight, from patterns of layers."""

from __future__ import annotations

from mixer_tf.models.base import ConfiguredModel
from mixer_tf.recipes import layer_factors
from mixer_tf.training.layer_patterns import matching_layers

FIELD = "optimizer.layer_rates"


def weight_factors(model: ConfiguredModel, layer_rates: str | None) -> dict[str, float]:
    """Returns name of a weight -> factor of its learning rate; a weight without one has 1.

    Call it after `freezing.freeze`.

    Args:
        model: the model.
        layer_rates: patterns of `matching_layers`, each with a factor, such as
            "stem=0.1,block_*=0.1"; None for no factors.

    Raises:
        ValueError: a pattern matches no layer with weights, or only frozen ones, or two patterns
            match the same weight.
    """
    factors, patterns = {}, {}
    for pattern, factor in layer_factors.parse(layer_rates or "").items():
        layers = matching_layers(model, pattern, FIELD)
        names = {weight.name for layer in layers.values() for weight in layer.trainable_weights}
        if not names:
            raise ValueError(
                f"{FIELD} must name layers that are trained; training.freeze freezes all that "
                f"match {pattern!r}. Leave it out of one of the two."
            )
        twice = sorted(names & set(patterns))
        if twice:
            raise ValueError(
                f"{FIELD} must match each layer with one pattern; both {patterns[twice[0]]!r} and "
                f"{pattern!r} match that of {twice[0].removesuffix(':0')}. Use patterns that do "
                "not overlap."
            )
        factors |= dict.fromkeys(names, factor)
        patterns |= dict.fromkeys(names, pattern)
    return factors
