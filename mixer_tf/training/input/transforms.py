# SPDX-License-Identifier: Apache-2.0
"""From one training image to the pixels of one step: a deterministic part, then a random one."""

from __future__ import annotations

import tensorflow as tf

from mixer_tf import images
from mixer_tf.images.preprocessing import decode_and_crop
from mixer_tf.recipes.schema import Recipe
from mixer_tf.training.augmentation.geometric import augment


def deterministic_transform(encoded: tf.Tensor, recipe: Recipe) -> tf.Tensor:
    """What happens to an image in the same way in every epoch: pixels, or still its bytes."""
    data = recipe.data
    if data.train_crop == "same":
        return decode_and_crop(encoded, data.crop, recipe.model.image_size)
    if not data.train_shorter_side:
        return encoded
    image = images.decode(encoded)
    return tf.cond(
        tf.reduce_min(tf.shape(image)[:2]) > data.train_shorter_side,
        lambda: images.resize_shorter_side(image, data.train_shorter_side),
        lambda: image,
    )


def random_transform(image: tf.Tensor, recipe: Recipe, seed: tf.Tensor) -> tf.Tensor:
    """What happens to an image in another way each time; returns uint8 [S, S, 3]."""
    crop_seed, augment_seed = tf.unstack(tf.random.split(seed))
    image_size = recipe.model.image_size
    if recipe.data.train_crop == "inception":
        image = images.decode(image) if image.dtype == tf.string else image
        image = images.inception_crop(image, image_size, crop_seed)
    image = tf.ensure_shape(image, [image_size, image_size, 3])
    return augment(image, recipe.data, augment_seed)
