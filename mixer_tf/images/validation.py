# SPDX-License-Identifier: Apache-2.0
"""Checks before training that the decoder of the model can read an image."""

from __future__ import annotations

import tensorflow as tf

from mixer_tf.images import conversion, decoding, headers

_JPEG = b"\xff\xd8\xff"


def check(encoded: bytes) -> bytes:
    """Returns the bytes to store; they were decoded once.

    Raises:
        UnusableImageError: the image cannot be used; the message is the reason.
    """
    header = headers.read_header(encoded)
    decodable = conversion.convert(encoded, header)
    try:
        decoding.decode_plainly(decodable, decodable.startswith(_JPEG))
    except tf.errors.OpError as error:
        raise headers.UnusableImageError(f"corrupt or truncated {header.format}") from error
    return decodable
