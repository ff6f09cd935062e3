# SPDX-License-Identifier: Apache-2.0
"""Decodes and crops images for a model, in the same way in evaluation and in serving."""

from __future__ import annotations

import tensorflow as tf

from mixer_tf.images import decoding, resizing
from mixer_tf.images.batch_mapping import map_images

CROPS = {
    "resize": resizing.resize_to,
    "resize_crop": resizing.resize_crop,
    "resmall_crop": resizing.resmall_crop,
}


def decode_and_crop(encoded: tf.Tensor, crop: str, image_size: int) -> tf.Tensor:
    """Decodes and crops one image for evaluation and serving.

    Args:
        encoded: scalar string tensor.
        crop: one of `CROPS`.
        image_size: S, the side of the result in pixels.

    Returns:
        uint8 [S, S, 3].
    """
    image = CROPS[crop](decoding.decode(encoded), image_size)
    return tf.ensure_shape(image, [image_size, image_size, 3])


def decode_and_crop_all(encoded: tf.Tensor, crop: str, image_size: int) -> tf.Tensor:
    """Decodes and crops the images of a batch, on all cores.

    Args:
        encoded: string [N].
        crop, image_size: see `decode_and_crop`.

    Returns:
        uint8 [N, image_size, image_size, 3].
    """

    spec = tf.TensorSpec([image_size, image_size, 3], tf.uint8)
    return map_images(lambda one: decode_and_crop(one, crop, image_size), encoded, spec)
