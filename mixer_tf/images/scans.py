# SPDX-License-Identifier: Apache-2.0
"""Counts the scans of a JPEG before decoding, in the graph of a served model as well.

A progressive JPEG of a few hundred kilobytes may have thousands of scans, each of which takes as
long as a pass over all pixels.
"""

from __future__ import annotations

import tensorflow as tf

from mixer_tf.images.byte_fields import called_function
from mixer_tf.images.jpeg_frames import (
    END_OF_IMAGE,
    MAX_SCANS,
    MAX_SEGMENTS,
    SCAN,
    START_OF_SCAN,
)

# Second bytes that do not begin a segment: zero and fill bytes, restart markers and others.
_NO_SEGMENT = (0x00, 0x01, *range(0xD0, 0xD9), 0xFF)


def require_few_scans(encoded: tf.Tensor, is_jpeg: tf.Tensor) -> tf.Tensor:
    """Returns `encoded`, a scalar string tensor, unless it is a JPEG of too many scans.

    Most files are only searched for two bytes, which takes a hundredth of the time of decoding.

    Raises:
        tf.errors.InvalidArgumentError: `jpeg_frames.has_too_many_scans` holds.
    """
    pieces = tf.strings.split([encoded], SCAN).flat_values
    is_suspect = is_jpeg & (tf.size(pieces) - 1 > MAX_SCANS)
    has_too_many = tf.cond(is_suspect, lambda: _has_too_many(encoded), lambda: False)
    rule = f"a JPEG must have at most {MAX_SCANS} scans, and {MAX_SEGMENTS:,} segments; it has more"
    with tf.control_dependencies([tf.Assert(~has_too_many, [rule])]):
        return tf.identity(encoded)


@called_function
def _has_too_many(encoded: tf.Tensor) -> tf.Tensor:
    """Follows the markers from segment to segment, because those bytes may be part of others."""
    data = tf.cast(tf.io.decode_raw(encoded, tf.uint8), tf.int64)
    second = data[1:, None]
    begins = tf.reduce_all(second != tf.constant(_NO_SEGMENT, tf.int64), axis=1)
    markers = tf.where((data[:-1] == 0xFF) & begins)[:, 0]
    sentinel = tf.size(data, tf.int64)  # Behind the last marker, the image ends.
    markers = tf.concat([markers, [sentinel]], 0)
    data = tf.concat([data, [0xFF, END_OF_IMAGE, 0, 0]], 0)

    def follow(at, scans, segments, _):
        marker = markers[tf.searchsorted(markers, at[None])[0]]
        kind, size = data[marker + 1], data[marker + 2] * 256 + data[marker + 3]
        at = tf.minimum(marker + 2 + size, sentinel)
        is_end = kind == END_OF_IMAGE
        return at, scans + tf.cast(kind == START_OF_SCAN, tf.int64), segments + 1, is_end

    def goes_on(at, scans, segments, is_end):
        return ~is_end & (scans <= MAX_SCANS) & (segments < MAX_SEGMENTS)

    start = (tf.constant(2, tf.int64), *(tf.constant(0, tf.int64),) * 2, tf.constant(False))
    _, _, _, is_end = tf.while_loop(goes_on, follow, start, parallel_iterations=1)
    return ~is_end
