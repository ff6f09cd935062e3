# SPDX-License-Identifier: Apache-2.0
"""Random crops of encoded images, of which only the cropped part is decoded where possible."""

from __future__ import annotations

import tensorflow as tf

from mixer_tf.images import resizing
from mixer_tf.images.decoding import decode_other
from mixer_tf.images.limits import require_valid_size, valid_jpeg_sides
from mixer_tf.images.orientation import (
    apply_orientation,
    read_orientation,
    stored_begin,
    upright_sides,
)

# Columns decoded on each side of a crop, and cut off: without them, libjpeg smooths the colors at
# the edge of a crop as at the edge of the image, and the crop differs by up to 37/255 there. Two
# have one value of color. It reads the rows above and below by itself.
_MARGIN = (0, 2)


def decode_and_inception_crop(encoded: tf.Tensor, image_size: int, seed: tf.Tensor) -> tf.Tensor:
    """Returns `inception_crop(decode(encoded), …)`, the same pixels; of a JPEG, decodes less.

    A JPEG that is corrupt outside the crop is not noticed.

    Args:
        encoded: scalar string tensor, an image that `decode` accepts.
        image_size: side of the result in pixels.
        seed: int [2]; the same seed gives the same crop.

    Returns:
        uint8 [image_size, image_size, 3].
    """
    is_jpeg = tf.io.is_jpeg(encoded)
    orientation = read_orientation(encoded)

    def crop_jpeg():
        sides = valid_jpeg_sides(encoded)
        return _decode_window(encoded, *_stored_window(sides, orientation, seed), sides)

    def crop_other():
        image = decode_other(require_valid_size(encoded, is_jpeg))
        begin, size = _stored_window(tf.shape(image)[:2], orientation, seed)
        return resizing.crop_window(image, begin, size)

    crop = apply_orientation(tf.cond(is_jpeg, crop_jpeg, crop_other), orientation)
    return resizing.resize_to(tf.ensure_shape(crop, [None, None, 3]), image_size)


def _stored_window(
    sides: tf.Tensor, orientation: tf.Tensor, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Draws the window in the upright image, and returns it in the image as stored."""
    upright = upright_sides(sides, orientation)
    begin, size = resizing.inception_window(upright, seed)
    return stored_begin(begin, size, upright, orientation), upright_sides(size, orientation)


def _decode_window(
    encoded: tf.Tensor, begin: tf.Tensor, size: tf.Tensor, sides: tf.Tensor
) -> tf.Tensor:
    outer = tf.maximum(begin - _MARGIN, 0)
    outer_size = tf.minimum(begin + size + _MARGIN, sides) - outer
    image = tf.image.decode_and_crop_jpeg(
        encoded, tf.concat([outer, outer_size], 0), channels=3, dct_method="INTEGER_ACCURATE"
    )
    return resizing.crop_window(image, begin - outer, size)
