# SPDX-License-Identifier: Apache-2.0
"""Converts formats that TensorFlow cannot decode to PNG, once, before training."""

from __future__ import annotations

import io

from PIL import Image, ImageOps

from mixer_tf.images import headers, jpeg_frames

_WIDE_MODES = ("I;16", "I;16B", "I;16L", "I;16N")


def make_decodable(encoded: bytes) -> bytes:
    """Returns bytes that `images.decode` reads: unchanged, or a lossless PNG of the pixels.

    Baseline and progressive JPEG, PNG and still GIF are not changed. WebP, TIFF, AVIF, BMP,
    lossless JPEG and other formats are converted to an RGB PNG of their first frame, upright;
    16-bit channels keep their high byte, and transparency is dropped. An animated GIF is converted
    too, because TensorFlow would hold all of its frames in memory.

    Raises:
        UnusableImageError: the bytes are not an image, or its pixels cannot be read.
    """
    return convert(encoded, headers.read_header(encoded))


def convert(encoded: bytes, header: headers.Header) -> bytes:
    """Returns the same as `make_decodable` for an image whose header was read already."""
    why_unreadable = jpeg_frames.why_unreadable(encoded)
    if header.format == "PNG" or (header.format == "JPEG" and not why_unreadable):
        return encoded
    with headers.open_image(encoded) as image:
        try:
            if header.format == "GIF" and not image.is_animated:
                return encoded
            rgb = to_rgb(ImageOps.exif_transpose(image))
        except Exception as error:  # As in `open_image`: there is no common base class of errors.
            raise headers.UnusableImageError(
                why_unreadable or f"corrupt {header.format}: {error}"
            ) from error
    file = io.BytesIO()
    rgb.save(file, "PNG", compress_level=1)
    return file.getvalue()


def to_rgb(image: Image.Image) -> Image.Image:
    """Converts an image to mode RGB; 16-bit channels keep their high byte.

    Raises:
        ValueError: the image has 32 bits per channel.
    """
    if image.mode in _WIDE_MODES:  # PIL would clip at 255.
        return image.convert("I").point(lambda value: value / 256).convert("L").convert("RGB")
    if image.mode in ("I", "F"):
        raise ValueError("32-bit pixels; a channel must have 8 or 16 bits")
    return image.convert("RGB")
