# SPDX-License-Identifier: Apache-2.0
"""What a training needs besides images, checked before any image is read. No TensorFlow at import.

A missing file of weights or a TPU that does not respond would otherwise be noticed only when all
images have been read, checked and compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixer_tf.recipes.schema import Recipe

if TYPE_CHECKING:
    import tensorflow as tf


def require_weights(recipe: Recipe) -> None:
    """Checks that the initial weights of a recipe exist, can be read, and fit its model.

    Published ones are downloaded into the cache, where the training finds them. The layers that a
    recipe freezes, or trains at a learning rate of their own, must exist as well. Imports
    TensorFlow only for a recipe with weights, or with such layers.

    Raises:
        ValueError: they do not exist, are corrupt, or do not fit.
        DownloadError: they cannot be downloaded; the message says where to put them.
    """
    if recipe.model.weights is not None:
        from mixer_tf import factory

        factory.check_weights(recipe)
    if recipe.training.freeze is not None or recipe.optimizer.layer_rates is not None:
        from mixer_tf import factory
        from mixer_tf.training import freezing, layer_rates

        model = factory.for_export(recipe, num_classes=2)
        freezing.freeze(model, recipe.training.freeze)
        layer_rates.weight_factors(model, recipe.optimizer.layer_rates)


def create_strategy(name: str, recipe: Recipe) -> tf.distribute.Strategy:
    """Returns the strategy that the recipe will be trained under.

    Args:
        name: see `distribution.create_strategy`.
        recipe: the recipe.

    Raises:
        ValueError, ConnectionError: see `distribution.create_strategy`; or the recipe's batches
            cannot be divided among the devices.
    """
    from mixer_tf.training import distribution

    strategy = distribution.create_strategy(name)
    _require_divisible(recipe, strategy.num_replicas_in_sync)
    return strategy


def require_devices(name: str, recipe: Recipe) -> None:
    """Checks that the devices of a strategy are there, without creating it.

    For a process that is going to compute other things before the training.

    Args:
        name, recipe: see `create_strategy`.

    Raises:
        ValueError, ConnectionError: see `create_strategy`.
    """
    from mixer_tf.training import distribution

    num_devices = distribution.count_devices(name)
    if num_devices:
        _require_divisible(recipe, num_devices)


def _require_divisible(recipe: Recipe, num_devices: int) -> None:
    from mixer_tf.training import distribution

    training = recipe.training
    distribution.require_divisible(training.batch_size, num_devices, training.accumulation_steps)
