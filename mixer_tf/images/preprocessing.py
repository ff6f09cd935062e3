# SPDX-License-Identifier: Apache-2.0
"""From an encoded image to the pixels that a model sees, in evaluation and in serving alike."""

from __future__ import annotations

import tensorflow as tf

from mixer_tf.images import decoding, resizing

CROPS = {
    "resize": resizing.resize_to,
    "resize_crop": resizing.resize_crop,
    "resmall_crop": resizing.resmall_crop,
}


def decode_and_crop(encoded: tf.Tensor, crop: str, image_size: int) -> tf.Tensor:
    """The way of every image in evaluation and serving: one string to uint8 [S, S, 3]."""
    image = CROPS[crop](decoding.decode(encoded), image_size)
    return tf.ensure_shape(image, [image_size, image_size, 3])
