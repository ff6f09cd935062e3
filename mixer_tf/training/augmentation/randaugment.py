# SPDX-License-Identifier: Apache-2.0
"""RandAugment with the authors' operations and levels; every draw comes from a stateless seed.

Source: big_vision `pp/autoaugment.py`, `distort_image_with_randaugment` (paper, supplement B).
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import tensorflow as tf

from mixer_tf.training.augmentation import operations

# (image, sign, seed) -> image; the sign is 1.0 or -1.0, and only cutout draws from the seed.
Operation = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]


def randaugment(
    image: tf.Tensor, layers: int, magnitude: float, wraparound: bool, seed: tf.Tensor
) -> tf.Tensor:
    """Applies `layers` operations, drawn uniformly and with replacement, one after the other.

    A magnitude of 0 changes most images, too: Posterize keeps one bit, Solarize inverts, and the
    factor of Color, Contrast, Brightness and Sharpness is 0.1.

    Args:
        image: uint8 [H, W, 3], at least 3 x 3 pixels.
        layers: the number of operations; the paper's N is 2.
        magnitude: the paper's m, the strength of all operations; 10 or more in Table 4.
        wraparound: see `level_operations`.
        seed: int [2]; the same seed gives the same image.

    Returns:
        uint8 [H, W, 3].
    """
    choices = list(level_operations(magnitude, wraparound).values())
    # A function, so that several layers are traced once.
    layer = tf.function(functools.partial(_apply_one, choices), autograph=False)
    for layer_seed in tf.unstack(tf.random.split(seed, layers)):
        image = tf.ensure_shape(layer(image, layer_seed), image.shape)
    return image


def level_operations(magnitude: float, wraparound: bool = True) -> dict[str, Operation]:
    """Returns the 16 operations at a magnitude, by their names in the paper.

    Args:
        magnitude: in [0, 22.5), because Posterize keeps 4·magnitude/10 bits.
        wraparound: compare the threshold of Solarize, 256·magnitude/10, as a uint8, as the authors'
            code does: at 10 and 20 it becomes 0 and Solarize inverts, at 15 it becomes 128. False
            compares it as an integer.
    """
    level = magnitude / 10
    threshold = int(256 * level) % 256 if wraparound else int(256 * level)
    factor = 1.8 * level + 0.1

    def cutout(image, sign, seed):
        row_seed, column_seed = tf.unstack(tf.random.split(seed))
        height, width, _ = tf.unstack(tf.shape(image))
        row = tf.random.stateless_uniform([], row_seed, 0, height, tf.int32)
        column = tf.random.stateless_uniform([], column_seed, 0, width, tf.int32)
        return operations.cutout(image, int(40 * level), row, column)

    return {
        "AutoContrast": lambda image, *_: operations.autocontrast(image),
        "Equalize": lambda image, *_: operations.equalize(image),
        "Invert": lambda image, *_: operations.invert(image),
        "Rotate": lambda image, sign, _: operations.rotate(image, sign * (30 * level)),
        "Posterize": lambda image, *_: operations.posterize(image, int(4 * level)),
        "Solarize": lambda image, *_: operations.solarize(image, threshold),
        "Color": lambda image, *_: operations.color(image, factor),
        "Contrast": lambda image, *_: operations.contrast(image, factor),
        "Brightness": lambda image, *_: operations.brightness(image, factor),
        "Sharpness": lambda image, *_: operations.sharpness(image, factor),
        "ShearX": lambda image, sign, _: operations.shear_x(image, sign * (0.3 * level)),
        "ShearY": lambda image, sign, _: operations.shear_y(image, sign * (0.3 * level)),
        "TranslateX": lambda image, sign, _: operations.translate_x(image, sign * (100 * level)),
        "TranslateY": lambda image, sign, _: operations.translate_y(image, sign * (100 * level)),
        "Cutout": cutout,
        "SolarizeAdd": lambda image, *_: operations.solarize_add(image, int(110 * level)),
    }


def _apply_one(choices: list[Operation], image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Draws one of the operations and applies it; the others are not computed."""
    choice_seed, sign_seed, operation_seed = tf.unstack(tf.random.split(seed, 3))
    choice = tf.random.stateless_uniform([], choice_seed, 0, len(choices), tf.int32)
    sign = tf.where(tf.random.stateless_uniform([], sign_seed) < 0.5, -1.0, 1.0)
    return tf.switch_case(
        choice,
        [lambda apply=apply: apply(image, sign, operation_seed) for apply in choices],
    )
