# SPDX-License-Identifier: Apache-2.0
"""Decodes those BMPs that TensorFlow decodes right, and 8-bit palettes; refuses all others.

Source: Microsoft, BITMAPFILEHEADER and BITMAPINFOHEADER.
"""

from __future__ import annotations

import tensorflow as tf

from mixer_tf.images.byte_fields import integer_at, slice_at

_RULE = (
    "a BMP must be uncompressed, with 8, 24 or 32 bits per pixel and a header of at least 40 "
    "bytes; save it as PNG. Got bits per pixel, compression and size of the header:"
)


def decode_bmp(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes a BMP, scalar string, to uint8 [H, W, 3]; the fourth byte of a pixel is not used.

    Raises:
        tf.errors.InvalidArgumentError: the file is corrupt or of another kind.
    """
    head = tf.io.decode_raw(encoded, tf.uint8, fixed_length=64)
    header_size, bits, compression = _field(head, 14, 4), _field(head, 28, 2), _field(head, 30, 4)
    is_known = (
        (header_size >= 40)
        & (header_size <= 124)
        & (compression == 0)
        & tf.reduce_any(bits == tf.constant([8, 24, 32], tf.int64))
    )
    rule = tf.Assert(is_known, [_RULE, bits, compression, header_size])
    with tf.control_dependencies([rule]):
        encoded = tf.identity(encoded)
    return tf.cond(
        bits == 8,
        lambda: _decode_palette(encoded, 14 + header_size, _field(head, 46, 4)),
        lambda: tf.io.decode_bmp(encoded, channels=0)[..., :3],
    )


def bmp_sides(encoded: tf.Tensor) -> tf.Tensor:
    """Width and height as int32 [2]; the height is negative if rows are stored from the top."""
    words = tf.io.decode_raw(encoded, tf.int16, fixed_length=26)[9:13]
    return tf.abs(tf.bitcast(tf.reshape(words, [2, 2]), tf.int32))


def _decode_palette(encoded: tf.Tensor, at: tf.Tensor, num_colors: tf.Tensor) -> tf.Tensor:
    num_colors = tf.where(num_colors == 0, tf.constant(256, tf.int64), num_colors)
    entries = slice_at(tf.io.decode_raw(encoded, tf.uint8), at, 4 * num_colors)
    palette = tf.reshape(entries[: tf.size(entries) // 4 * 4], [-1, 4])[:, 2::-1]
    indices = tf.cast(tf.io.decode_bmp(encoded, channels=0)[..., 0], tf.int32)
    # Stated here, because on a GPU `gather` takes zeros instead of raising an error.
    is_within = tf.reduce_max(indices) < tf.shape(palette)[0]
    with tf.control_dependencies([tf.Assert(is_within, ["a BMP pixel exceeds the palette"])]):
        return tf.gather(palette, indices)


def _field(head: tf.Tensor, at: int, size: int) -> tf.Tensor:
    return integer_at(head, at, size, is_little=True)
