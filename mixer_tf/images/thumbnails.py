# SPDX-License-Identifier: Apache-2.0
"""Thumbnails for comparing images: fast, on the CPU, without TensorFlow.

They are not used for training. Deduplication compares them, and its report shows larger ones.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageOps

from mixer_tf.images import conversion, headers, jpeg_frames


def make_thumbnail(encoded: bytes, size: int) -> np.ndarray:
    """Decodes an image, upright, and resizes it to a square; the aspect ratio changes.

    Args:
        encoded: the bytes of an image whose size `images.read_header` has checked.
        size: side of the square in pixels; smaller images are enlarged.

    Returns:
        uint8 [size, size, 3] in YCbCr.

    Raises:
        UnusableImageError: the bytes are not an image, or its pixels cannot be read.
    """
    image = _read(encoded, size).resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(image.convert("YCbCr"))


def make_preview(encoded: bytes, size: int) -> bytes:
    """Returns an image as an upright JPEG of at most `size` pixels per side.

    The aspect ratio is kept.

    Raises:
        UnusableImageError: as `make_thumbnail`.
    """
    image = _read(encoded, size)
    image.thumbnail((size, size))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    return file.getvalue()


def _read(encoded: bytes, size: int) -> Image.Image:
    """Decodes to RGB; a common JPEG at the smallest scale with at least twice `size` pixels."""
    with headers.open_image(encoded) as image:
        try:
            if _can_scale(encoded):
                image.draft("RGB", (2 * size, 2 * size))
            ImageOps.exif_transpose(image, in_place=True)
            return conversion.to_rgb(image)
        except Exception as error:  # As in `convert`: there is no common base class of errors.
            raise headers.UnusableImageError(f"corrupt {image.format}: {error}") from error


def _can_scale(encoded: bytes) -> bool:
    """Whether libjpeg may scale while it decodes: with a lossless JPEG it corrupts the memory."""
    frame = jpeg_frames.read_frame(encoded)
    return frame is not None and frame.is_common
