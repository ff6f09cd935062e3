# SPDX-License-Identifier: Apache-2.0
"""Converts formats that TensorFlow cannot decode to PNG, once, before training."""

from __future__ import annotations

import io

from PIL import Image, ImageOps

from mixer_tf import library_messages
from mixer_tf.images import headers, jpeg_frames

_WIDE_MODES = ("I;16", "I;16B", "I;16L", "I;16N")
_PNG_DEPTH = 24  # Position of the bits per channel in a file.


def make_decodable(encoded: bytes) -> bytes:
    """Returns bytes that `images.decode` reads: unchanged, or a lossless PNG of the pixels.

    Baseline and progressive JPEG and PNG are not changed. Other formats, such as GIF, WebP, TIFF,
    AVIF, BMP and lossless JPEG, are converted to an RGB PNG of their first frame, upright; 16-bit
    channels keep their high byte, and transparency is composed over white.

    Raises:
        UnusableImageError: the bytes are not an image, its pixels cannot be read, or 16-bit
            channels use only their low bits.
    """
    with library_messages.capture():
        return convert(encoded, headers.read_header(encoded))


def convert(encoded: bytes, header: headers.Header) -> bytes:
    """Returns the same as `make_decodable` for an image whose header was read already.

    Libraries may write to stderr; the caller captures it.
    """
    if header.format == "JPEG" and not jpeg_frames.why_unreadable(encoded):
        return encoded
    if header.format == "PNG":
        if encoded[_PNG_DEPTH] == 16:
            _read_rgb(encoded)  # Its values may be out of range.
        return encoded
    file = io.BytesIO()
    _read_rgb(encoded).save(file, "PNG", compress_level=1)
    return file.getvalue()


def read_rgb(encoded: bytes, draft_size: int | None = None) -> Image.Image:
    """Decodes the first frame of an image with PIL: RGB, upright, composed over white.

    Args:
        encoded: the bytes of an image whose size `headers.read_header` has checked.
        draft_size: a common JPEG is decoded at the smallest scale with at least this many pixels
            per side; None for the full size.

    Raises:
        UnusableImageError: as `make_decodable`.
    """
    with library_messages.capture():
        return _read_rgb(encoded, draft_size)


def _read_rgb(encoded: bytes, draft_size: int | None = None) -> Image.Image:
    why_unreadable = jpeg_frames.why_unreadable(encoded)
    with headers.open_image(encoded) as image:
        try:
            # With a lossless JPEG, scaling while decoding writes beyond a buffer.
            if draft_size and jpeg_frames.is_common(encoded):
                image.draft("RGB", (draft_size, draft_size))
            has_16_bits = _has_16_bits(image)
            if image.format == "PPM" and image.mode == "I":  # 16 bits, scaled by the stated range.
                image = _keep_high_byte(image)
            frame = _first_frame(image)
            ImageOps.exif_transpose(frame, in_place=True)
            rgb = _to_rgb(frame)
        except headers.UnusableImageError:
            raise
        except Exception as error:  # As in `open_image`: there is no common base class of errors.
            raise headers.UnusableImageError(
                why_unreadable or f"corrupt {image.format}: {error}"
            ) from error
    if has_16_bits and max(high for _, high in rgb.getextrema()) < headers.LOW_RANGE_LIMIT >> 8:
        raise headers.UnusableImageError(headers.LOW_RANGE)
    return rgb


def _has_16_bits(image: Image.Image) -> bool:
    """Whether the file has 16 bits per channel, of which PIL keeps 8 in images with color."""
    names_of_layout = str(image.tile) if image.format in ("PNG", "TIFF", "PPM") else ""
    return image.mode in _WIDE_MODES or ";16" in names_of_layout


def _first_frame(image: Image.Image) -> Image.Image:
    """Returns the image; white surrounds a GIF's first frame that is smaller than the screen."""
    if image.format != "GIF" or not image.tile or image.tile[0][1] == (0, 0, *image.size):
        return image
    box = image.tile[0][1]
    whole = Image.new("RGB", image.size, "white")
    whole.paste(_to_rgb(image).crop(box), box)
    return whole


def _to_rgb(image: Image.Image) -> Image.Image:
    """Converts an image to mode RGB over white; 16-bit channels keep their high byte."""
    if image.mode in ("I", "F"):
        kind = "32-bit float" if image.mode == "F" else "signed or 32-bit integer"
        raise headers.UnusableImageError(
            f"{kind} pixels: channels must be unsigned with 8 or 16 bits, because the range of the "
            "values is not known. Scale them to 8 bits and save the image again"
        )
    if image.mode in _WIDE_MODES:
        image = _keep_high_byte(image)
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")
    with_alpha = image.convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(with_alpha, mask=with_alpha.getchannel("A"))
    return white


def _keep_high_byte(image: Image.Image) -> Image.Image:
    return image.convert("I").point(lambda value: value / 256).convert("L")
