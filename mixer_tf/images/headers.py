# SPDX-License-Identifier: Apache-2.0
"""What the first bytes of an image say of it: format and size, without decoding a pixel."""

from __future__ import annotations

import dataclasses
import io
import warnings

from PIL import Image

MIN_SIDE = 4
MAX_PIXELS = 100_000_000
# Resized to a common shorter side, a strip of a few bytes would fill the memory.
MAX_ASPECT = 100

# Named, so that no bytes reach a plug-in that nobody expects (EPS, for one, calls Ghostscript).
_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "AVIF", "JPEG2000", "PPM", "ICO", "TGA")
_SIGNATURES = {b"\xff\xd8": "JPEG", b"\x89PNG": "PNG", b"GIF8": "GIF", b"RIFF": "WEBP"}
# What phones write unless they are told to be compatible.
_HEIC_BRANDS = (b"ftypheic", b"ftypheix", b"ftyphevc", b"ftypmif1")


class UnusableImageError(ValueError):
    """An image cannot be used; the message is the reason, in words that a user understands."""


@dataclasses.dataclass(frozen=True)
class Header:
    """What the header says.

    Attributes:
        format: "JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", …
        width: pixels as stored, before any EXIF orientation.
        height: likewise.
    """

    format: str
    width: int
    height: int


def read_header(encoded: bytes) -> Header:
    """Reads the header of an image; its pixels are not decoded, so any file is safe.

    Raises:
        UnusableImageError: the bytes are no image, or its size is absurd.
    """
    with open_image(encoded) as image:
        # A JPEG with a second picture inside, as phones write it, is a JPEG to every decoder.
        image_format = "JPEG" if image.format == "MPO" else image.format
        header = Header(image_format, *image.size)
    _require_valid_size(header.width, header.height)
    return header


def open_image(encoded: bytes) -> Image.Image:
    """Opens an image with PIL, which reads its header only.

    Raises:
        UnusableImageError: the bytes are empty, no image, or far above `MAX_PIXELS`.
    """
    if not encoded:
        raise UnusableImageError("empty file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return Image.open(io.BytesIO(encoded), formats=_FORMATS)
    except Image.DecompressionBombError:
        raise UnusableImageError(f"more than {MAX_PIXELS:,} pixels") from None
    except Exception as error:  # PIL's plug-ins raise whatever a damaged header leads them to.
        raise UnusableImageError(_why_not_an_image(encoded)) from error


def _require_valid_size(width: int, height: int) -> None:
    if min(width, height) < MIN_SIDE:
        raise UnusableImageError(
            f"{width}x{height} pixels: the shorter side must be at least {MIN_SIDE}"
        )
    if width * height > MAX_PIXELS:
        raise UnusableImageError(f"{width}x{height} pixels: more than {MAX_PIXELS:,}")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise UnusableImageError(
            f"{width}x{height} pixels: one side more than {MAX_ASPECT} times the other"
        )


def _why_not_an_image(encoded: bytes) -> str:
    for signature, name in _SIGNATURES.items():
        if encoded.startswith(signature):
            return f"damaged {name}: its header cannot be read"
    if encoded[4:12] in _HEIC_BRANDS:
        return "HEIC, which cannot be read: save it as JPEG"
    start = encoded[:12].decode("ascii", "replace").replace("�", "?")
    return f"not an image: starts with {start!r}"
