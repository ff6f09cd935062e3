# SPDX-License-Identifier: Apache-2.0
"""Checks the size in the header before decoding, so that a small file cannot fill the memory.

TensorFlow's ops decode any size that a header states: gigabytes of pixels from a file of a few
kilobytes.
"""

from __future__ import annotations

import tensorflow as tf

from mixer_tf.images.bmp import bmp_sides
from mixer_tf.images.headers import MAX_ASPECT, MAX_PIXELS

# The first four bytes of a PNG as a big-endian int32, the first two of a GIF or BMP as a
# little-endian uint16.
_PNG = int.from_bytes(b"\x89PNG", "big", signed=True)
_GIF = int.from_bytes(b"GI", "little")
_BMP = int.from_bytes(b"BM", "little")


def require_valid_size(encoded: tf.Tensor, is_jpeg: tf.Tensor) -> tf.Tensor:
    """Returns `encoded`, a scalar string tensor, if the size in its header is valid.

    Valid are at most `MAX_PIXELS`, and no side more than `MAX_ASPECT` times the other, because the
    shorter side is resized to a fixed length later. Bytes that are not an image are left to the
    decoder, which raises the error.

    Raises:
        tf.errors.InvalidArgumentError: the size is out of range, or the header of a JPEG is
            corrupt.
    """
    sides = tf.cond(is_jpeg, lambda: _jpeg_sides(encoded), lambda: _other_sides(encoded))
    with tf.control_dependencies([_assert_valid(sides)]):
        return tf.identity(encoded)


def valid_jpeg_sides(encoded: tf.Tensor) -> tf.Tensor:
    """Returns height and width, int32 [2], of an encoded JPEG, if they are valid.

    Raises:
        tf.errors.InvalidArgumentError: as `require_valid_size`.
    """
    sides = _jpeg_sides(encoded)
    with tf.control_dependencies([_assert_valid(sides)]):
        return tf.identity(sides)


def _assert_valid(sides: tf.Tensor) -> tf.Operation:
    rule = (
        f"an image must have at most {MAX_PIXELS:,} pixels, and no side more than {MAX_ASPECT} "
        "times the other; got sides of"
    )
    exact = tf.cast(sides, tf.int64)
    is_valid = (
        (tf.reduce_min(exact) > 0)
        & (tf.reduce_prod(exact) <= MAX_PIXELS)
        & (tf.reduce_max(exact) <= MAX_ASPECT * tf.reduce_min(exact))
    )
    return tf.Assert(is_valid, [rule, sides])


def _jpeg_sides(encoded: tf.Tensor) -> tf.Tensor:
    return tf.image.extract_jpeg_shape(encoded)[:2]


def _other_sides(encoded: tf.Tensor) -> tf.Tensor:
    """Both sides of a PNG, GIF or BMP as int32 [2], ones for anything else."""
    words = tf.io.decode_raw(encoded, tf.int32, little_endian=False, fixed_length=24)
    return tf.cond(words[0] == _PNG, lambda: words[4:6], lambda: _rare_sides(encoded))


def _rare_sides(encoded: tf.Tensor) -> tf.Tensor:
    words = tf.cast(tf.io.decode_raw(encoded, tf.uint16, fixed_length=10), tf.int32)
    bmp = tf.where(words[0] == _BMP, bmp_sides(encoded), [1, 1])
    return tf.where(words[0] == _GIF, words[3:5], bmp)
