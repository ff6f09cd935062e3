# SPDX-License-Identifier: Apache-2.0
"""A few training images as the model gets them, to look at."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from mixer_tf.recipes.schema import Recipe
from mixer_tf.training.input import batches
from mixer_tf.training.input.split import Split

NUM_SAMPLES = 16


def read_samples(
    split: Split, recipe: Recipe, transform: Callable[[tf.Tensor], tf.Tensor] | None = None
) -> np.ndarray:
    """Returns augmented images of a split: a batch of the training, but smaller.

    They come from the first shards, because a full shuffle buffer takes long to read.

    Args:
        split: the training examples; at least one.
        recipe: the recipe of the training, whose augmentation is applied.
        transform: applied to the images of the batch, [N, S, S, 3].

    Returns:
        [N, S, S, 3] with values 0 to 255, uint8, or float32 with mixup.
    """
    smaller = recipe.replace(
        data=recipe.data.replace(shuffle_buffer=NUM_SAMPLES),
        training=recipe.training.replace(batch_size=NUM_SAMPLES, accumulation_steps=1),
    )
    dataset = batches.training_batches(split, smaller)
    if transform:
        dataset = batches.map_images(dataset, transform)
    images, *_ = next(iter(dataset))
    return images.numpy()
