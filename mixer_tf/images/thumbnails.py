# SPDX-License-Identifier: Apache-2.0
"""Thumbnails for comparing images: fast, on the CPU, without TensorFlow.

They are not used for training. Deduplication compares them, and its report shows larger ones.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from mixer_tf.images import conversion


def make_thumbnail(encoded: bytes, size: int) -> np.ndarray:
    """Decodes an image, upright, and resizes it to a square; the aspect ratio changes.

    An image of exactly half the size is enlarged by repeating its pixels, so that the means of two
    by two pixels are the image itself.

    Args:
        encoded: the bytes of an image whose size `images.read_header` has checked.
        size: side of the square in pixels; smaller images are enlarged.

    Returns:
        uint8 [size, size, 3] in YCbCr.

    Raises:
        UnusableImageError: the bytes are not an image, or its pixels cannot be read.
    """
    image = conversion.read_rgb(encoded, 2 * size)
    is_half = image.size == (size // 2, size // 2)
    method = Image.Resampling.NEAREST if is_half else Image.Resampling.BICUBIC
    return np.asarray(image.resize((size, size), method).convert("YCbCr"))


def make_preview(encoded: bytes, size: int) -> bytes:
    """Returns an image as an upright JPEG of at most `size` pixels per side.

    The aspect ratio is kept.

    Raises:
        UnusableImageError: as `make_thumbnail`.
    """
    image = conversion.read_rgb(encoded, 2 * size)
    image.thumbnail((size, size))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    return file.getvalue()
