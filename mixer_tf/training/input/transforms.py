# SPDX-License-Identifier: Apache-2.0
"""From an encoded training image to the pixels of a step: a deterministic, then a random part."""

from __future__ import annotations

import tensorflow as tf

from mixer_tf import images
from mixer_tf.images.preprocessing import decode_and_crop
from mixer_tf.recipes.schema import Recipe
from mixer_tf.training.augmentation.geometric import augment


def deterministic_transform(encoded: tf.Tensor, recipe: Recipe) -> tf.Tensor:
    """Applies what is equal in every epoch, so that its result can be cached.

    Args:
        encoded: string [], the bytes of an image.
        recipe: the recipe of the training.

    Returns:
        The uint8 pixels [H, W, 3]; or the bytes, where the recipe crops the original at random.
    """
    data = recipe.data
    if data.train_crop == "same":
        return decode_and_crop(encoded, data.crop, recipe.model.image_size)
    if data.train_crop == "resize_random":
        side = images.size_before_crop(recipe.model.image_size)
        return images.resize_shorter_side(images.decode(encoded), side)
    if not data.train_shorter_side:
        return encoded
    image = images.decode(encoded)
    return tf.cond(
        tf.reduce_min(tf.shape(image)[:2]) > data.train_shorter_side,
        lambda: images.resize_shorter_side(image, data.train_shorter_side),
        lambda: image,
    )


def random_transform(image: tf.Tensor, recipe: Recipe, seed: tf.Tensor) -> tf.Tensor:
    """Applies what differs in every epoch.

    Args:
        image: the result of `deterministic_transform`.
        recipe: the recipe of the training.
        seed: int64 [2]; equal seeds give equal pixels.

    Returns:
        uint8 [S, S, 3].
    """
    crop_seed, augment_seed = tf.unstack(tf.random.split(seed))
    image_size = recipe.model.image_size
    if recipe.data.train_crop == "inception":
        is_encoded = image.dtype == tf.string
        crop = images.decode_and_inception_crop if is_encoded else images.inception_crop
        image = crop(image, image_size, crop_seed)
    elif recipe.data.train_crop == "resize_random":
        image = images.random_crop(image, image_size, crop_seed)
    image = tf.ensure_shape(image, [image_size, image_size, 3])
    return augment(image, recipe.data, augment_seed)
