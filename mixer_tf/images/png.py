# SPDX-License-Identifier: Apache-2.0
"""Decodes PNG with TensorFlow ops; transparent pixels are composed over white.

Source: PNG 3, sections 11.2.1 (IHDR) and 11.3.1.1 (tRNS).
"""

from __future__ import annotations

import tensorflow as tf

from mixer_tf.images.byte_fields import called_function, integer_at, matches_at
from mixer_tf.images.headers import LOW_RANGE, LOW_RANGE_LIMIT
from mixer_tf.images.plain_starts import has_plain_start

_DEPTH, _COLOR_TYPE = 24, 25  # Positions in a file.
_FIRST_CHUNK = 8
_GRAY_WITH_ALPHA, _RGB_WITH_ALPHA = 4, 6
# Far more than any file has; bounds the time that a malicious file takes.
_MAX_CHUNKS = 1024


def decode_png(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes a PNG, scalar string, to uint8 [H, W, 3]; 16-bit channels keep their high byte.

    Raises:
        tf.errors.InvalidArgumentError: the file is corrupt, or the values of 16-bit channels fill
            only the low bits.
    """
    head = tf.io.decode_raw(encoded, tf.uint8, fixed_length=28)
    has_transparent_color = tf.cond(
        has_plain_start(encoded),
        lambda: tf.constant(False),
        lambda: _may_have_transparent_color(encoded),
    )
    is_usual = (head[_DEPTH] <= 8) & (head[_COLOR_TYPE] < _GRAY_WITH_ALPHA) & ~has_transparent_color
    return tf.cond(
        is_usual,
        lambda: tf.io.decode_png(encoded, channels=3),
        lambda: _decode_unusual(encoded),
    )


@called_function
def _may_have_transparent_color(encoded: tf.Tensor) -> tf.Tensor:
    """Whether "tRNS" precedes the pixels: one search, faster than a walk over the chunks."""
    before = tf.raw_ops.StringSplitV2(input=[encoded], sep="IDAT", maxsplit=1).values[:1]
    parts = tf.raw_ops.StringSplitV2(input=before, sep="tRNS", maxsplit=1).values
    return tf.size(parts) > 1


@called_function
def _decode_unusual(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes a PNG that may be transparent or have 16-bit channels."""
    head = tf.io.decode_raw(encoded, tf.uint8, fixed_length=28)
    color_type = head[_COLOR_TYPE]
    is_transparent = (
        (color_type == _GRAY_WITH_ALPHA)
        | (color_type == _RGB_WITH_ALPHA)
        # TensorFlow fills the alpha channel of other palettes with wrong values.
        | _has_chunk(encoded, b"tRNS")
    )
    image = tf.cond(
        is_transparent,
        lambda: compose_over_white(tf.io.decode_png(encoded, channels=4)),
        lambda: tf.io.decode_png(encoded, channels=3),
    )
    return tf.cond(head[_DEPTH] == 16, lambda: _require_full_range(image), lambda: image)


def compose_over_white(image: tf.Tensor) -> tf.Tensor:
    """Composes uint8 [H, W, 4] over white: uint8 [H, W, 3], rounded to the nearest value."""
    # uint16 holds every value, in a buffer that each operation uses again; int32 and a sum of two
    # products would take 3 GB for an image of `MAX_PIXELS`.
    lack, alpha = tf.cast(255 - image[..., :3], tf.uint16), tf.cast(image[..., 3:], tf.uint16)
    return tf.cast((255 * 255 + 127 - lack * alpha) // 255, tf.uint8)


def _require_full_range(image: tf.Tensor) -> tf.Tensor:
    largest = tf.reduce_max(image)
    with tf.control_dependencies([tf.Assert(largest >= LOW_RANGE_LIMIT >> 8, [LOW_RANGE])]):
        return tf.identity(image)


def _has_chunk(encoded: tf.Tensor, name: bytes) -> tf.Tensor:
    """Whether a chunk precedes the pixels; its name may occur within other chunks as well."""
    head = tf.io.decode_raw(encoded, tf.uint8)
    size = tf.size(head, tf.int64)
    at = tf.while_loop(
        lambda at: (
            (at < size) & ~matches_at(head, at + 4, name) & ~matches_at(head, at + 4, b"IDAT")
        ),
        lambda at: (at + 12 + integer_at(head, at, 4),),
        (tf.constant(_FIRST_CHUNK, tf.int64),),
        maximum_iterations=_MAX_CHUNKS,
    )[0]
    return matches_at(head, at + 4, name)
