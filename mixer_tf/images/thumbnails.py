# SPDX-License-Identifier: Apache-2.0
"""Thumbnails for comparing images with one another: fast, on the host, without TensorFlow.

Training never sees them. The Deduplicator compares them, and its report shows larger ones.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageOps

from mixer_tf.images import conversion, headers


def make_thumbnail(encoded: bytes, size: int) -> np.ndarray:
    """Decodes an image, turns it upright and squeezes it into a square; its proportions are lost.

    Args:
        encoded: the bytes of an image that `images.read_header` has found to be of sensible size.
        size: side of the square in pixels; smaller images are enlarged.

    Returns:
        uint8 [size, size, 3] in YCbCr.

    Raises:
        UnusableImageError: the bytes are no image, or its pixels cannot be read.
    """
    image = _read(encoded, size).resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(image.convert("YCbCr"))


def make_preview(encoded: bytes, size: int) -> bytes:
    """Returns an image as a JPEG of at most `size` pixels a side, upright, in its proportions.

    Raises:
        UnusableImageError: as `make_thumbnail`.
    """
    image = _read(encoded, size)
    image.thumbnail((size, size))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    return file.getvalue()


def _read(encoded: bytes, size: int) -> Image.Image:
    """Decodes to RGB; a JPEG only at the scale that still has twice `size` pixels a side."""
    with headers.open_image(encoded) as image:
        try:
            image.draft("RGB", (2 * size, 2 * size))
            ImageOps.exif_transpose(image, in_place=True)
            return conversion._to_rgb(image)
        except Exception as error:  # As in `make_decodable`: there is no common class of errors.
            raise headers.UnusableImageError(f"damaged {image.format}: {error}") from error
