# SPDX-License-Identifier: Apache-2.0
"""Random brightness, contrast and saturation of a training image, uint8 to uint8.

Source: torchvision `ColorJitter(s, s, s)`, the color jitter of timm. The paper does not use it.
"""

from __future__ import annotations

import tensorflow as tf

from mixer_tf.training.augmentation import operations


def color_jitter(image: tf.Tensor, strength: float, seed: tf.Tensor) -> tf.Tensor:
    """Changes brightness, contrast and saturation, each by its own factor, in random order.

    The factors are uniform in [1 - strength, 1 + strength]; 1 keeps the image.

    Args:
        image: uint8 [H, W, 3].
        strength: in [0, 1].
        seed: int [2]; the same seed gives the same image.

    Returns:
        uint8 [H, W, 3].
    """
    order_seed, factor_seed = tf.unstack(tf.random.split(seed))
    order = tf.argsort(tf.random.stateless_uniform([3], order_seed))
    factors = tf.random.stateless_uniform([3], factor_seed, 1 - strength, 1 + strength)
    shape = image.shape
    for change, factor in zip(tf.unstack(order), tf.unstack(factors), strict=True):
        image = tf.ensure_shape(_change(image, change, factor), shape)
    return image


def contrast(image: tf.Tensor, factor) -> tf.Tensor:
    """Blends the image's mean gray with the image, as PIL does; a factor of 0 is gray.

    The Contrast of RandAugment is another function, see `operations.contrast`.
    """
    gray = tf.cast(tf.image.rgb_to_grayscale(image), tf.float32)
    return operations.blend(tf.floor(tf.reduce_mean(gray) + 0.5), image, factor)


def _change(image: tf.Tensor, change: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    changes = (operations.brightness, contrast, operations.color)
    return tf.switch_case(
        change, [lambda function=function: function(image, factor) for function in changes]
    )
