# SPDX-License-Identifier: Apache-2.0
"""Recognizes by its first bytes an image that has nothing optional before its pixels.

Most files are like this, and need no search for what is not there.
"""

from __future__ import annotations

import tensorflow as tf

# A JFIF segment of the usual length, followed by a marker that is not an application segment (APPn,
# COM): those, of which one may be Exif, precede all others.
_JPEG = b"\xff\xd8\xff\xe0\x00\x10"
_NEXT_MARKER, _MARKER_START, _FIRST_APPLICATION = 20, 0xFF, 0xE0
# The header chunk, which has 13 bytes, and the chunk after it.
_PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
_SECOND_CHUNK, _PIXELS = 37, b"IDAT"
_SIZE = _SECOND_CHUNK + len(_PIXELS)


def has_plain_start(encoded: tf.Tensor) -> tf.Tensor:
    """Whether a JPEG has no EXIF data, or a PNG no chunk before its pixels.

    Args:
        encoded: scalar string tensor, of any bytes.

    Returns:
        bool []; False also where it would take a search to find out.
    """
    start = tf.io.decode_raw(encoded, tf.uint8, fixed_length=_SIZE)
    marker, kind = start[_NEXT_MARKER], start[_NEXT_MARKER + 1]
    is_plain_jpeg = _has(start, 0, _JPEG) & (marker == _MARKER_START) & (kind < _FIRST_APPLICATION)
    is_plain_png = _has(start, 0, _PNG) & _has(start, _SECOND_CHUNK, _PIXELS)
    return is_plain_jpeg | is_plain_png


def _has(start: tf.Tensor, at: int, expected: bytes) -> tf.Tensor:
    return tf.reduce_all(start[at : at + len(expected)] == tf.constant([*expected], tf.uint8))
