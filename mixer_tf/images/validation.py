# SPDX-License-Identifier: Apache-2.0
"""The check that every image passes before training: can the decoder of the model read it?"""

from __future__ import annotations

import tensorflow as tf

from mixer_tf.images import conversion, decoding, headers


def check(encoded: bytes) -> bytes:
    """Returns the bytes to keep, which `images.decode` has read once as a trial.

    Raises:
        UnusableImageError: with the reason in a few words.
    """
    header = headers.read_header(encoded)
    decodable = conversion.convert(encoded, header)
    try:
        # The orientation cannot fail; without it a small image takes a third of the time.
        decoding.decode_as_stored(decodable, is_jpeg=header.format == "JPEG")
    except tf.errors.OpError as error:
        raise headers.UnusableImageError(f"damaged or truncated {header.format}") from error
    return decodable
