# SPDX-License-Identifier: Apache-2.0
"""Fixed permutations of the pixels of all images, for the paper's study of input permutations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf

GIVEN, PATCHES, PIXELS, BOTH, GLOBAL = "given", "patches", "pixels", "both", "global"
ORDERS = {  # name → what is shuffled
    GIVEN: "nothing",
    PATCHES: "patches",
    PIXELS: "pixels within patches, all patches alike",
    BOTH: "patches, and pixels within patches",
    GLOBAL: "all pixels of the image",
}


def pixel_order(
    order: str, image_size: tuple[int, int], patch_size: int, seed: int = 0
) -> np.ndarray:
    """Returns a permutation of pixels: pixel i of the shuffled image is pixel order[i] as given.

    Pixels are counted row by row.

    Shape: int64 [height·width].

    Args:
        order: one of ORDERS.
        image_size: (height, width) in pixels, multiples of `patch_size`.
        patch_size: P, the side of a patch in pixels.
        seed: seed of the permutation.

    Raises:
        ValueError: the order is unknown, or `patch_size` does not divide the image size.
    """
    height, width = image_size
    if order not in ORDERS:
        raise ValueError(f"the order must be one of {', '.join(ORDERS)}; got {order!r}.")
    if height % patch_size or width % patch_size:
        raise ValueError(
            f"patch_size must divide image_size; got patch_size={patch_size}, "
            f"image_size={height}x{width}."
        )
    if order == GLOBAL:
        return np.random.default_rng([seed, 2]).permutation(height * width)
    rows, columns = height // patch_size, width // patch_size
    pixels = np.arange(height * width).reshape(rows, patch_size, columns, patch_size)
    pixels = pixels.transpose(0, 2, 1, 3).reshape(rows * columns, patch_size**2)  # [S, P²]
    if order in (PATCHES, BOTH):
        pixels = pixels[patch_permutation(rows * columns, seed)]
    if order in (PIXELS, BOTH):
        pixels = pixels[:, pixel_permutation(patch_size, seed)]
    pixels = pixels.reshape(rows, columns, patch_size, patch_size)
    return pixels.transpose(0, 2, 1, 3).reshape(-1)


def patch_permutation(num_patches: int, seed: int = 0) -> np.ndarray:
    """Returns the index of the patch that moves to each position."""
    return np.random.default_rng([seed, 0]).permutation(num_patches)


def pixel_permutation(patch_size: int, seed: int = 0) -> np.ndarray:
    """Returns the index of the pixel that moves to each position in a patch, row by row."""
    return np.random.default_rng([seed, 1]).permutation(patch_size**2)


def shuffle_pixels(images: tf.Tensor, order: np.ndarray) -> tf.Tensor:
    """Permutes the pixels of images with TensorFlow.

    Shape: [..., H, W, C] -> [..., H, W, C]; H, W and C must be known.

    Args:
        images: images of any dtype.
        order: a permutation from `pixel_order`.
    """
    import tensorflow as tf

    height, width, channels = images.shape[-3:]
    batch = tf.shape(images)[:-3]
    pixels = tf.reshape(images, tf.concat([batch, [height * width, channels]], axis=0))
    shuffled = tf.reshape(tf.gather(pixels, order, axis=-2), tf.shape(images))
    return tf.ensure_shape(shuffled, images.shape)
