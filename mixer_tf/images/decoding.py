# SPDX-License-Identifier: Apache-2.0
"""The only decoder of encoded images; it is part of the graph of every exported model."""

from __future__ import annotations

import tensorflow as tf

from mixer_tf.images.limits import require_valid_size
from mixer_tf.images.orientation import apply_orientation, read_orientation


def decode(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes a JPEG, PNG, GIF (first frame) or 24-bit BMP, upright.

    JPEG pixels equal libjpeg's accurate integer transform, which PIL uses, bit for bit. Gray is
    converted to RGB, CMYK without a color profile; transparency is dropped, and 16-bit channels
    keep their high byte.
    # Deviation: the authors train on JPEGs decoded with the fast transform, which differs by up to
    4/255, and ignore the EXIF orientation.

    Args:
        encoded: scalar string tensor.

    Returns:
        uint8 [H, W, 3].

    Raises:
        tf.errors.InvalidArgumentError: another format, a corrupt file, or an image of more than
            `MAX_PIXELS`.
    """
    is_jpeg = tf.io.is_jpeg(encoded)
    encoded = require_valid_size(encoded, is_jpeg)
    image = decode_as_stored(encoded, is_jpeg)
    image = apply_orientation(image, read_orientation(encoded))
    return tf.ensure_shape(image, [None, None, 3])


def decode_as_stored(encoded: tf.Tensor, is_jpeg) -> tf.Tensor:
    """Decodes like `decode`, but does not apply the EXIF orientation."""
    return tf.cond(
        is_jpeg,
        lambda: tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE"),
        lambda: tf.io.decode_image(encoded, channels=3, expand_animations=False),
    )
