# SPDX-License-Identifier: Apache-2.0
"""Decodes the first frame of a GIF as a browser shows it on a white page, with TensorFlow ops.

TensorFlow's decoder leaves transparent pixels and those outside the frame black, and decodes every
frame of an animation. So a GIF of the first frame alone is built from the bytes of the file, in
which the transparent color is white.
Source: GIF89a specification, sections 18 to 23.
"""

from __future__ import annotations

import tensorflow as tf

from mixer_tf.images.byte_fields import integer_at

# Encoders write blocks of 255 bytes, so a first frame may take 16 MB. Both numbers bound the time
# that a malicious file takes.
_MAX_BLOCKS = 1 << 16
_MAX_EXTENSIONS = 256
_EXTENSION, _GRAPHIC_CONTROL, _FRAME = 0x21, 0xF9, 0x2C
_SCREEN = 13  # Bytes of the signature and the logical screen descriptor.
_RULE = (
    "the first frame of a GIF must be within its logical screen; save it as PNG. Got width and "
    "height of the screen; left, top, width and height of the frame:"
)


def decode_gif(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes the first frame of a GIF, scalar string, to uint8 [H, W, 3], H x W of the screen.

    Transparent pixels and those outside the frame are white.

    Raises:
        tf.errors.InvalidArgumentError: the file is corrupt, or the frame exceeds the screen.
    """
    # Zeros at the end, so that a truncated file ends every walk.
    data = tf.concat([tf.io.decode_raw(encoded, tf.uint8), tf.zeros([16], tf.uint8)], 0)
    frame, control = _find_frame(data)
    screen = [_short(data, 6), _short(data, 8)]
    left, top, width, height = (_short(data, frame + 1 + 2 * index) for index in range(4))
    is_inside = (
        (_byte(data, frame) == _FRAME)
        & (left + width <= screen[0])
        & (top + height <= screen[1])
        & (width > 0)
        & (height > 0)
    )
    rule = tf.Assert(is_inside, [_RULE, *screen, left, top, width, height])
    with tf.control_dependencies([rule]):
        alone = _build_gif_of(encoded, data, frame, control)
    pixels = tf.io.decode_gif(alone)[0]
    outside = [[top, screen[1] - top - height], [left, screen[0] - left - width], [0, 0]]
    return tf.pad(pixels, outside, constant_values=255)


def _find_frame(data: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The positions of the first frame and of its graphic control extension; 0 without one."""

    def next_block(at, control):
        is_control = _byte(data, at + 1) == _GRAPHIC_CONTROL
        return _skip_blocks(data, at + 2), tf.where(is_control, at, control)

    return tf.while_loop(
        lambda at, control: _byte(data, at) == _EXTENSION,
        next_block,
        (_SCREEN + _table_size(data, 10), tf.constant(0, tf.int64)),
        maximum_iterations=_MAX_EXTENSIONS,
    )


def _build_gif_of(
    encoded: tf.Tensor, data: tf.Tensor, frame: tf.Tensor, control: tf.Tensor
) -> tf.Tensor:
    """The bytes of a GIF whose screen is the frame, without extensions and other frames."""
    size = _piece(encoded, frame + 5, 4)
    local_size = _table_size(data, frame + 9)
    pixels = frame + 10 + local_size
    end = _skip_blocks(data, pixels + 1)
    has_white = (control > 0) & (_byte(data, control + 3) % 2 == 1)
    white = tf.where(has_white, _byte(data, control + 6), -1)
    return tf.strings.join(
        [
            _piece(encoded, 0, 6),
            size,
            _piece(encoded, 10, 3),
            _with_white(_piece(encoded, _SCREEN, _table_size(data, 10)), white),
            b",\0\0\0\0",
            size,
            _piece(encoded, frame + 9, 1),
            _with_white(_piece(encoded, frame + 10, local_size), white),
            _piece(encoded, pixels, end - pixels),
            b";",
        ]
    )


def _with_white(table: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    """A color table, bytes of red, green, blue, whose color at `index` is white if it exists."""
    size = tf.strings.length(table)
    at = 3 * tf.cast(index, tf.int32)

    def replace():
        rest = _piece(table, at + 3, size - at - 3)
        return tf.strings.join([_piece(table, 0, at), b"\xff\xff\xff", rest])

    return tf.cond((at >= 0) & (at < size), replace, lambda: table)


def _table_size(data: tf.Tensor, flags: tf.Tensor) -> tf.Tensor:
    """The bytes of the color table that the flags at this position announce."""
    value = _byte(data, flags)
    size = 3 * tf.bitwise.left_shift(tf.constant(2, tf.int64), value % 8)
    return tf.where(value >= 0x80, size, 0)


def _skip_blocks(data: tf.Tensor, at: tf.Tensor) -> tf.Tensor:
    """The position behind a sequence of data blocks and its terminator."""
    end = tf.while_loop(
        lambda at: _byte(data, at) > 0,
        lambda at: (at + 1 + _byte(data, at),),
        (at,),
        maximum_iterations=_MAX_BLOCKS,
    )[0]
    return end + 1


def _piece(encoded: tf.Tensor, at, size) -> tf.Tensor:
    return tf.strings.substr(encoded, tf.cast(at, tf.int64), tf.cast(size, tf.int64))


def _byte(data: tf.Tensor, at: tf.Tensor) -> tf.Tensor:
    """The byte at a position; that of the end, 0, for a position behind it."""
    last = tf.size(data, tf.int64) - 1
    return tf.cast(data[tf.minimum(tf.cast(at, tf.int64), last)], tf.int64)


def _short(data: tf.Tensor, at: tf.Tensor) -> tf.Tensor:
    return integer_at(data, at, 2, is_little=True)
