# SPDX-License-Identifier: Apache-2.0
"""A few training images as the model gets them, to look at."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from mixer_tf.recipes.schema import Recipe
from mixer_tf.training.augmentation import mixing
from mixer_tf.training.input.split import Split, parse_examples, read_records
from mixer_tf.training.input.transforms import deterministic_transform, random_transform

NUM_SAMPLES = 16


def read_samples(
    split: Split, recipe: Recipe, transform: Callable[[tf.Tensor], tf.Tensor] | None = None
) -> np.ndarray:
    """Returns the first images of a split, augmented as those of the first step are.

    They are computed one by one: another input pipeline would take seconds to be made.

    Args:
        split: the training examples; at least one.
        recipe: the recipe of the training, whose augmentation is applied.
        transform: applied to the images together, [N, S, S, 3].

    Returns:
        [N, S, S, 3] with values 0 to 255, uint8, or float32 with mixup or CutMix.
    """
    seed = tf.constant(recipe.training.seed, tf.int64)
    examples = parse_examples(read_records(split.files), split.num_classes)
    images, labels = [], []
    with tf.device("CPU"):
        for index, (encoded, label) in enumerate(examples.repeat().take(NUM_SAMPLES)):
            pixels = deterministic_transform(encoded, recipe)
            image_seed = tf.stack([seed, tf.constant(index, tf.int64)])
            images.append(random_transform(pixels, recipe, image_seed))
            labels.append(tf.one_hot(label, split.num_classes))
        batch = tf.stack(images)
        if recipe.data.mixes_images:
            first_step = tf.stack([seed, tf.constant(-1, tf.int64)])
            batch, _ = mixing.mix(batch, tf.stack(labels), recipe.data, first_step)
        return (transform(batch) if transform else batch).numpy()
