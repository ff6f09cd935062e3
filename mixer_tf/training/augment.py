# SPDX-License-Identifier: Apache-2.0
"""What training does to its images: mirror, rotate and shift one, mix two of a batch.

Everything up to the batch is uint8 to uint8, and every draw depends only on a seed, so that a
training that was stopped continues with the images it would have seen.
"""

from __future__ import annotations

import math

import tensorflow as tf

from mixer_tf.recipes.schema import DataOptions


def augment(image: tf.Tensor, options: DataOptions, seed: tf.Tensor) -> tf.Tensor:
    """Mirrors, rotates and shifts one image at random, as far as `options` ask for it.

    Args:
        image: uint8 [S, S, 3].
        options: of the recipe.
        seed: int [2]; the same seed gives the same image.

    Returns:
        uint8 [S, S, 3].
    """
    flip_seed, rotate_seed, shift_seed = tf.unstack(tf.random.split(seed, 3))
    if options.flip:
        image = tf.image.stateless_random_flip_left_right(image, flip_seed)
    if options.rotate:
        image = rotate(image, options.rotate, rotate_seed)
    if options.shift:
        image = shift(image, options.shift, shift_seed)
    return image


def rotate(image: tf.Tensor, degrees: float, seed: tf.Tensor) -> tf.Tensor:
    """Turns a uint8 image by an angle between -`degrees` and `degrees`; what is bared is black."""
    import tensorflow_addons as tfa  # its notice of end of life greets every import

    limit = math.radians(degrees)
    angle = tf.random.stateless_uniform([], seed, -limit, limit)
    return tfa.image.rotate(image, angle, interpolation="bilinear")


def shift(image: tf.Tensor, pixels: int, seed: tf.Tensor) -> tf.Tensor:
    """Moves an image by up to `pixels` in both directions; what is bared is black."""
    padded = tf.pad(image, [[pixels, pixels], [pixels, pixels], [0, 0]])
    return tf.image.stateless_random_crop(padded, image.shape, seed)


def mixup(images: tf.Tensor, labels: tf.Tensor, strength: float, seed: tf.Tensor):
    """Mixes each image of a batch with the one before it, by one weight for the whole batch.

    a ~ Beta(p, p), a = max(a, 1 - a), x ← a·x + (1 - a)·roll(x, 1), labels the same (paper,
    supplement B; big_vision utils.py `get_mixup`). The authors mix after the value range; as the
    range is affine and the weights sum to 1, mixing pixel values is the same.

    Args:
        images: uint8 [N, S, S, 3].
        labels: float [N, num_classes].
        strength: p, more than 0.
        seed: int [2].

    Returns:
        float32 images [N, S, S, 3] with values 0 to 255, and labels [N, num_classes].
    """
    weight = _beta(strength, seed)
    weight = tf.maximum(weight, 1 - weight)
    images = tf.cast(images, tf.float32)

    def mix(x):
        return weight * x + (1 - weight) * tf.roll(x, 1, axis=0)

    return mix(images), mix(labels)


def _beta(strength: float, seed: tf.Tensor) -> tf.Tensor:
    """Draws from Beta(p, p) as X / (X + Y) of two Gamma(p) variables."""
    gammas = tf.random.stateless_gamma([2], seed, alpha=strength)
    return gammas[0] / tf.reduce_sum(gammas)
