# SPDX-License-Identifier: Apache-2.0
"""Reduces large images once, so that training does not decode their full size in every epoch."""

from __future__ import annotations

import functools

import tensorflow as tf

from mixer_tf.images import decoding, resizing

_JPEG_QUALITY = 95


def reduce_shorter_side(encoded: bytes, side: int) -> bytes:
    """Returns an encoded image whose shorter side has at most `side` pixels.

    Args:
        encoded: an image that `images.check` returned.
        side: side in pixels; smaller images are returned unchanged.

    Returns:
        A JPEG of quality 95 if the image was a JPEG, else a PNG; upright, without EXIF.
    """
    return _reducer()(tf.constant(encoded), tf.constant(side)).numpy()


@functools.cache
def _reducer():
    """The reduction as one graph, traced once."""

    @tf.function(input_signature=[tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.int32)])
    def reduce(encoded, side):
        image = decoding.decode(encoded)
        if tf.reduce_min(tf.shape(image)[:2]) <= side:
            return encoded
        smaller = resizing.resize_shorter_side(image, side)
        return tf.cond(
            tf.io.is_jpeg(encoded),
            lambda: tf.io.encode_jpeg(smaller, quality=_JPEG_QUALITY, chroma_downsampling=False),
            lambda: tf.io.encode_png(smaller),
        )

    return reduce
