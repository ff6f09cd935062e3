# SPDX-License-Identifier: Apache-2.0
"""The guard before the decoder: a few bytes must not make a server fill its memory.

The ops of TensorFlow decode whatever size a header states, gigabytes of pixels from a file of some
kilobytes.
"""

from __future__ import annotations

import tensorflow as tf

from mixer_tf.images.headers import MAX_ASPECT, MAX_PIXELS

# The first four bytes of a PNG as a big-endian int32, the first two of a GIF as a little-endian
# uint16.
_PNG = int.from_bytes(b"\x89PNG", "big", signed=True)
_GIF = int.from_bytes(b"GI", "little")


def require_valid_size(encoded: tf.Tensor, is_jpeg: tf.Tensor) -> tf.Tensor:
    """Returns `encoded`, a scalar string tensor, if its header states a sensible size.

    At most `MAX_PIXELS`, and no side more than `MAX_ASPECT` times the other: what follows brings
    the shorter side to a fixed length. A BMP needs no guard, because its pixels must all be there,
    and what is no image passes on to the decoder, which knows how to say so.

    Raises:
        tf.errors.InvalidArgumentError: the header states more, or is that of a broken JPEG.
    """
    sides = tf.cond(is_jpeg, lambda: _jpeg_sides(encoded), lambda: _other_sides(encoded))
    rule = (
        f"an image must have at most {MAX_PIXELS:,} pixels, and no side more than {MAX_ASPECT} "
        "times the other; got sides of"
    )
    exact = tf.cast(sides, tf.int64)
    is_sensible = (tf.reduce_prod(exact) <= MAX_PIXELS) & (
        tf.reduce_max(exact) <= MAX_ASPECT * tf.reduce_min(exact)
    )
    with tf.control_dependencies([tf.Assert(is_sensible, [rule, sides])]):
        return tf.identity(encoded)


def _jpeg_sides(encoded: tf.Tensor) -> tf.Tensor:
    return tf.image.extract_jpeg_shape(encoded)[:2]


def _other_sides(encoded: tf.Tensor) -> tf.Tensor:
    """Both sides of a PNG or GIF as int32 [2], zeros for anything else."""
    words = tf.io.decode_raw(encoded, tf.int32, little_endian=False, fixed_length=24)
    return tf.cond(words[0] == _PNG, lambda: words[4:6], lambda: _gif_sides(encoded))


def _gif_sides(encoded: tf.Tensor) -> tf.Tensor:
    words = tf.cast(tf.io.decode_raw(encoded, tf.uint16, fixed_length=10), tf.int32)
    return tf.where(words[0] == _GIF, words[3:5], [0, 0])
