# SPDX-License-Identifier: Apache-2.0
"""Reads and applies the EXIF orientation of a photograph with TensorFlow ops.

`tf.io.decode_image` ignores the tag, so a photograph taken in portrait orientation would be rotated
by 90 degrees. Because these are ops, a served model rotates an image in the same way as training.
Source: Exif 2.32 (sections 4.5.4 and 4.6.4 A), PNG 3 (eXIf chunk).
"""

from __future__ import annotations

import tensorflow as tf

from mixer_tf.images.byte_fields import (
    called_function,
    integer_at,
    matches_at,
    slice_at,
    unsigned,
)
from mixer_tf.images.plain_starts import has_plain_start

# The tag is stored at the start of the file, before the pixels.
_HEAD_BYTES = 1 << 18
# Far more than any file has; bounds the time that a malicious file takes.
_MAX_SEGMENTS = 64
_TAG = 0x0112
_SHORT, _LONG = 3, 4


def read_orientation(encoded: tf.Tensor) -> tf.Tensor:
    """Returns the orientation, 1 to 8, of an encoded JPEG or PNG, a scalar string tensor.

    A missing or malformed tag and other formats give 1, upright.
    """
    upright = tf.constant(1, tf.int64)
    return tf.cond(has_plain_start(encoded), lambda: upright, lambda: _find_orientation(encoded))


@called_function
def _find_orientation(encoded: tf.Tensor) -> tf.Tensor:
    head = tf.strings.substr(encoded, 0, _HEAD_BYTES)
    mark = tf.where(tf.io.is_jpeg(encoded), "Exif\0\0", "eXIf")
    # One search, faster than a regular expression, avoids the walk below for most images.
    parts = tf.raw_ops.StringSplitV2(input=[head], sep=mark, maxsplit=1).values
    has_mark = tf.size(parts) > 1
    return tf.cond(has_mark, lambda: _read_orientation(head), lambda: tf.constant(1, tf.int64))


def apply_orientation(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Rotates and flips an image [H, W, 3] upright; orientations 5 to 8 swap its sides."""

    def make_upright():
        upright = tf.cond(orientation >= 5, lambda: tf.transpose(image, [1, 0, 2]), lambda: image)
        upright = _flip_if(_is_one_of(orientation, 2, 3, 6, 7), upright, axis=1)
        return _flip_if(_is_one_of(orientation, 3, 4, 7, 8), upright, axis=0)

    return tf.cond(orientation > 1, make_upright, lambda: image)


def upright_sides(sides: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Returns height and width, int [2], of an image [H, W] after `apply_orientation`."""
    return tf.where(orientation >= 5, sides[::-1], sides)


def stored_begin(
    begin: tf.Tensor, size: tf.Tensor, sides: tf.Tensor, orientation: tf.Tensor
) -> tf.Tensor:
    """Returns the top and left, before `apply_orientation`, of a window of the upright image.

    Args:
        begin, size: top and left, height and width of the window in the upright image, int [2].
        sides: height and width of the upright image.
        orientation: 1 to 8.
    """
    is_flipped = tf.stack(
        [_is_one_of(orientation, 3, 4, 7, 8), _is_one_of(orientation, 2, 3, 6, 7)]
    )
    begin = tf.where(is_flipped, sides - begin - size, begin)
    return tf.where(orientation >= 5, begin[::-1], begin)


def _read_orientation(encoded: tf.Tensor) -> tf.Tensor:
    head = tf.io.decode_raw(encoded, tf.uint8)
    is_png = matches_at(head, 1, b"PNG")
    tiff = tf.cond(is_png, lambda: _find_in_png(head), lambda: _find_in_jpeg(head))
    return tf.cond(tiff > 0, lambda: _read_tag(head[tiff:]), lambda: tf.constant(1, tf.int64))


def _find_in_jpeg(head: tf.Tensor) -> tf.Tensor:
    """The position of the TIFF block of the first Exif segment; 0 if there is none.

    Walks over the application segments (APPn, COM), which precede all others.
    """

    def is_application_segment(at):
        marker = integer_at(head, at, 2)
        return (marker >= 0xFFE0) & (marker <= 0xFFEF) | (marker == 0xFFFE)

    def is_exif(at):
        return (integer_at(head, at, 2) == 0xFFE1) & matches_at(head, at + 4, b"Exif\0\0")

    def next_segment(at):
        return at + 2 + integer_at(head, at + 2, 2)

    at = tf.while_loop(
        lambda at: is_application_segment(at) & ~is_exif(at),
        lambda at: (next_segment(at),),
        (tf.constant(2, tf.int64),),
        maximum_iterations=_MAX_SEGMENTS,
    )[0]
    return tf.where(is_exif(at), at + 10, 0)


def _find_in_png(head: tf.Tensor) -> tf.Tensor:
    """The position of the content of an eXIf chunk that precedes the pixels; 0 if there is none."""
    size = tf.size(head, tf.int64)

    def is_before_pixels(at):
        return (at < size) & ~matches_at(head, at + 4, b"IDAT") & ~matches_at(head, at + 4, b"eXIf")

    at = tf.while_loop(
        is_before_pixels,
        lambda at: (at + 12 + integer_at(head, at, 4),),
        (tf.constant(8, tf.int64),),
        maximum_iterations=_MAX_SEGMENTS,
    )[0]
    return tf.where(matches_at(head, at + 4, b"eXIf"), at + 8, 0)


def _read_tag(tiff: tf.Tensor) -> tf.Tensor:
    """The orientation in the first directory of a TIFF block."""
    is_little = matches_at(tiff, 0, b"II")
    directory = integer_at(tiff, 4, 4, is_little)
    count = integer_at(tiff, directory, 2, is_little)
    entries = slice_at(tiff, directory + 2, 12 * count)
    entries = tf.reshape(entries[: tf.size(entries) // 12 * 12], [-1, 12])
    tags = unsigned(entries[:, 0:2], 2, is_little)
    types = unsigned(entries[:, 2:4], 2, is_little)
    values = tf.where(
        types == _LONG,
        unsigned(entries[:, 8:12], 4, is_little),
        unsigned(entries[:, 8:10], 2, is_little),
    )
    found = (tags == _TAG) & ((types == _SHORT) | (types == _LONG)) & (values >= 1) & (values <= 8)
    return tf.concat([tf.boolean_mask(values, found), [1]], 0)[0]


def _is_one_of(orientation: tf.Tensor, *values: int) -> tf.Tensor:
    return tf.reduce_any(orientation == tf.constant(values, tf.int64))


def _flip_if(condition: tf.Tensor, image: tf.Tensor, axis: int) -> tf.Tensor:
    return tf.cond(condition, lambda: tf.reverse(image, [axis]), lambda: image)
