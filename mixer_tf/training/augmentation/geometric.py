# SPDX-License-Identifier: Apache-2.0
"""The augmentation of one training image: flip, rotation, shift, color jitter, RandAugment.

Each is uint8 to uint8, and depends only on a seed, so that a training that was stopped resumes
with the images it would have seen.
"""

from __future__ import annotations

import math

import tensorflow as tf

from mixer_tf.recipes.schema import DataOptions
from mixer_tf.training.augmentation.color_jitter import color_jitter
from mixer_tf.training.augmentation.randaugment import randaugment


def augment(image: tf.Tensor, options: DataOptions, seed: tf.Tensor) -> tf.Tensor:
    """Augments one image at random, as `options` say.

    The order is flip, rotation, shift, color jitter, RandAugment.

    Args:
        image: uint8 [S, S, 3].
        options: the data options of the recipe.
        seed: int [2]; the same seed gives the same image.

    Returns:
        uint8 [S, S, 3].
    """
    flip_seed, rotate_seed, shift_seed, jitter_seed, randaugment_seed = tf.unstack(
        tf.random.split(seed, 5)
    )
    if options.flip:
        image = tf.image.stateless_random_flip_left_right(image, flip_seed)
    if options.rotate:
        image = rotate(image, options.rotate, rotate_seed)
    if options.shift:
        image = shift(image, options.shift, shift_seed)
    if options.color_jitter:
        image = color_jitter(image, options.color_jitter, jitter_seed)
    if options.randaugment_layers:
        image = randaugment(
            image,
            options.randaugment_layers,
            options.randaugment_magnitude,
            options.randaugment_wraparound,
            randaugment_seed,
        )
    return image


def rotate(image: tf.Tensor, degrees: float, seed: tf.Tensor) -> tf.Tensor:
    """Rotates a uint8 image by an angle between -`degrees` and `degrees`, and fills with black."""
    import tensorflow_addons as tfa  # here, because every import prints its end-of-life notice

    limit = math.radians(degrees)
    angle = tf.random.stateless_uniform([], seed, -limit, limit)
    return tfa.image.rotate(image, angle, interpolation="bilinear")


def shift(image: tf.Tensor, pixels: int, seed: tf.Tensor) -> tf.Tensor:
    """Shifts an image by up to `pixels` in both directions, and fills with black."""
    padded = tf.pad(image, [[pixels, pixels], [pixels, pixels], [0, 0]])
    return tf.image.stateless_random_crop(padded, image.shape, seed)
