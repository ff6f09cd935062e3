# SPDX-License-Identifier: Apache-2.0
"""Encoded bytes to pixels: the one decoder, part of the graph of every exported model."""

from __future__ import annotations

import tensorflow as tf

from mixer_tf.images.orientation import apply_orientation, read_orientation


def decode(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes one JPEG, PNG, GIF (first frame) or 24-bit BMP, and turns it upright.

    JPEG equals libjpeg's accurate integer transform, which PIL uses, bit for bit. Grey becomes
    RGB, CMYK is converted without colour profile, transparency is dropped, and 16-bit channels
    keep their high byte.

    Args:
        encoded: scalar string tensor.

    Returns:
        uint8 [H, W, 3].

    Raises:
        tf.errors.InvalidArgumentError: the bytes are none of these, or damaged.
    """
    image = tf.cond(
        tf.io.is_jpeg(encoded),
        lambda: tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE"),
        lambda: tf.io.decode_image(encoded, channels=3, expand_animations=False),
    )
    image = apply_orientation(image, read_orientation(encoded))
    return tf.ensure_shape(image, [None, None, 3])
