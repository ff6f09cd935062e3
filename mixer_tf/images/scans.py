# SPDX-License-Identifier: Apache-2.0
"""Counts the scans of JPEGs in the graph of a served model, before they are decoded.

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


def assert_few_scans(encoded: tf.Tensor) -> tf.Operation:
    """Fails the request for JPEGs of too many scans, with their positions among string [N].

    The images are searched for two bytes, and only those that have them often are looked at closer.

    Raises:
        tf.errors.InvalidArgumentError: `jpeg_frames.has_too_many_scans` holds for an image.
    """
    counts = tf.strings.split(encoded, SCAN).row_lengths() - 1
    suspects = tf.where(counts > MAX_SCANS)[:, 0]
    found = tf.cond(tf.size(suspects) > 0, lambda: _find(encoded, suspects), lambda: suspects)
    rule = (
        f"a JPEG must have at most {MAX_SCANS} scans, and {MAX_SEGMENTS:,} segments; not the case "
        "at these positions:"
    )
    return tf.debugging.Assert(tf.size(found) == 0, [rule, found])


def _find(encoded: tf.Tensor, suspects: tf.Tensor) -> tf.Tensor:
    """Those of the positions whose image has too many scans, int64 [K]."""
    flags = tf.map_fn(
        _has_too_many,
        tf.gather(encoded, suspects),
        fn_output_signature=tf.TensorSpec([], tf.bool),
    )
    return tf.boolean_mask(suspects, flags)


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
    return tf.io.is_jpeg(encoded) & ~is_end
