# SPDX-License-Identifier: Apache-2.0
"""The only decoder of encoded images; it is part of the graph of every exported model."""

from __future__ import annotations

import tensorflow as tf

from mixer_tf.images.bmp import decode_bmp
from mixer_tf.images.byte_fields import called_function
from mixer_tf.images.gif import decode_gif
from mixer_tf.images.limits import require_valid_size
from mixer_tf.images.orientation import apply_orientation, read_orientation
from mixer_tf.images.png import decode_png


def decode(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes a JPEG, PNG, GIF (first frame) or uncompressed BMP, upright.

    JPEG pixels equal libjpeg's accurate integer transform, which PIL uses, bit for bit. Gray is
    converted to RGB, CMYK without a color profile; transparency is composed over white, and 16-bit
    channels keep their high byte.
    # Deviation: the authors train on JPEGs decoded with the fast transform, which differs by up to
    4/255, and ignore the EXIF orientation.

    Args:
        encoded: scalar string tensor.

    Returns:
        uint8 [H, W, 3].

    Raises:
        tf.errors.InvalidArgumentError: another format, a corrupt file, an image of more than
            `MAX_PIXELS`, or one that would be decoded to other pixels than in training. A JPEG of
            too many scans is not an error here; see `scans.assert_few_scans`.
    """
    is_jpeg = tf.io.is_jpeg(encoded)
    encoded = require_valid_size(encoded, is_jpeg)
    image = _decode_as_stored(encoded, is_jpeg)
    image = apply_orientation(image, read_orientation(encoded))
    return tf.ensure_shape(image, [None, None, 3])


def decode_plainly(encoded: tf.Tensor, is_jpeg: bool) -> tf.Tensor:
    """Decodes a JPEG or PNG without orientation and transparency.

    It fails for the same corrupt files as `decode`, and takes a third of the time for small images.
    """
    if is_jpeg:
        return _decode_jpeg(encoded)
    return tf.io.decode_png(encoded, channels=3)


def _decode_as_stored(encoded: tf.Tensor, is_jpeg) -> tf.Tensor:
    """Decodes like `decode`, but does not apply the EXIF orientation."""
    return tf.cond(is_jpeg, lambda: _decode_jpeg(encoded), lambda: decode_other(encoded))


def _decode_jpeg(encoded: tf.Tensor) -> tf.Tensor:
    return tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")


@called_function
def decode_other(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes an image that is not a JPEG like `decode`, but without the EXIF orientation."""
    is_png = _starts_with(encoded, b"\x89PNG")
    return tf.cond(is_png, lambda: decode_png(encoded), lambda: _decode_rare(encoded))


@called_function
def _decode_rare(encoded: tf.Tensor) -> tf.Tensor:
    return tf.case(
        [
            (_starts_with(encoded, b"GIF8"), lambda: decode_gif(encoded)),
            (_starts_with(encoded, b"BM"), lambda: decode_bmp(encoded)),
        ],
        # Raises the error for unknown formats.
        default=lambda: tf.io.decode_image(encoded, channels=3, expand_animations=False),
    )


def _starts_with(encoded: tf.Tensor, magic: bytes) -> tf.Tensor:
    return tf.strings.substr(encoded, 0, len(magic)) == magic
