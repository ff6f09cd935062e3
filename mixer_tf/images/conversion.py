# SPDX-License-Identifier: Apache-2.0
"""Formats that TensorFlow cannot decode become PNG, once, before they enter the pipeline."""

from __future__ import annotations

import io

from PIL import Image, ImageOps

from mixer_tf.images import headers

_DECODABLE = ("JPEG", "PNG")
_WIDE_MODES = ("I;16", "I;16B", "I;16L", "I;16N")


def make_decodable(encoded: bytes) -> bytes:
    """Returns bytes that `images.decode` reads: the same ones, or a lossless PNG of their pixels.

    JPEG, PNG and still GIF stay as they are. WebP, TIFF, AVIF, BMP and the rest become an RGB PNG
    of their first frame, upright; 16-bit channels keep their high byte, transparency is dropped.
    So does an animated GIF, because TensorFlow would hold all of its frames in memory.

    Raises:
        UnusableImageError: the bytes are no image, or its pixels cannot be read.
    """
    return convert(encoded, headers.read_header(encoded))


def convert(encoded: bytes, header: headers.Header) -> bytes:
    """Does the same for an image whose header is known."""
    if header.format in _DECODABLE:
        return encoded
    with headers.open_image(encoded) as image:
        try:
            if header.format == "GIF" and not image.is_animated:
                return encoded
            rgb = _to_rgb(ImageOps.exif_transpose(image))
        except Exception as error:  # As in `open_image`: there is no common class of errors.
            raise headers.UnusableImageError(f"damaged {header.format}: {error}") from error
    file = io.BytesIO()
    rgb.save(file, "PNG", compress_level=1)
    return file.getvalue()


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in _WIDE_MODES:  # PIL's own conversion would clip at 255.
        return image.convert("I").point(lambda value: value / 256).convert("L").convert("RGB")
    if image.mode in ("I", "F"):
        raise ValueError("32-bit pixels; 8 or 16 bits a channel are needed")
    return image.convert("RGB")
