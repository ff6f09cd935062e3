# SPDX-License-Identifier: Apache-2.0
"""Reads format and size from the header of an image, without decoding pixels."""

from __future__ import annotations

import dataclasses
import io
import threading
import warnings

from PIL import Image

from mixer_tf.images import jpeg_frames, signatures

MIN_SIDE = 4
MAX_PIXELS = 100_000_000
# When its shorter side is enlarged to a common length, a narrow strip of a few bytes would fill the
# memory.
MAX_ASPECT = 100
# 16-bit channels with lower values only, as of 12-bit sensors, would become nearly black.
LOW_RANGE_LIMIT = 1 << 14
LOW_RANGE = (
    f"16-bit channels must use their range: a value of at least {LOW_RANGE_LIMIT:,} of 65,535 must "
    "occur. Scale the values, as from 12 to 16 bits, and save the image again"
)

_AVIF_HEAD_BYTES = 4096  # The size is stored before the pixels.
# An explicit list, so that no unexpected plug-in runs; EPS, for example, calls Ghostscript.
_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "AVIF", "JPEG2000", "PPM", "ICO", "TGA")


class UnusableImageError(ValueError):
    """An image cannot be used; the message is the reason for the user."""


@dataclasses.dataclass(frozen=True)
class Header:
    """Format and size of an image.

    Attributes:
        format: "JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", …
        width: width in pixels as stored, before the EXIF orientation is applied.
        height: height in pixels as stored.
    """

    format: str
    width: int
    height: int


class _Opened(threading.local):
    """The image whose header a thread has read last, for `open_image` of the same object.

    To open a small JPEG takes as long as to decode it.
    """

    encoded: bytes | None = None
    image: Image.Image | None = None

    def keep(self, encoded: bytes | None, image: Image.Image | None) -> None:
        self.encoded, self.image = encoded, image


_opened = _Opened()


def read_header(encoded: bytes) -> Header:
    """Reads the header of an image; no pixels are decoded, so this is safe for any file.

    Raises:
        UnusableImageError: the bytes are not an image, or its size is out of range.
    """
    image = open_image(encoded)
    _opened.keep(encoded, image)
    # Phones write JPEGs with a second image inside; decoders read them as JPEG.
    image_format = "JPEG" if image.format == "MPO" else image.format
    header = Header(image_format, *image.size)
    # PIL takes the size of the frame instead.
    if header.format == "GIF" and b"\0\0" in (encoded[6:8], encoded[8:10]):
        raise UnusableImageError("corrupt GIF: its logical screen has no pixels")
    _require_valid_size(header.width, header.height)
    if header.format == "JPEG" and jpeg_frames.has_too_many_scans(encoded):
        raise UnusableImageError(f"a JPEG of more than {jpeg_frames.MAX_SCANS} scans")
    return header


def open_image(encoded: bytes) -> Image.Image:
    """Opens an image with PIL, which reads only its header.

    Raises:
        UnusableImageError: the bytes are empty or not an image, or the size is far above
            `MAX_PIXELS`.
    """
    if not encoded:
        raise UnusableImageError("empty file")
    if encoded is _opened.encoded:
        image = _opened.image
        _opened.keep(None, None)  # its pixels may be changed
        return image
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return Image.open(io.BytesIO(encoded), formats=_FORMATS)
    except Image.DecompressionBombError:
        raise UnusableImageError(f"more than {MAX_PIXELS:,} pixels") from None
    except Exception as error:  # PIL's plug-ins raise many classes of errors for a corrupt header.
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
    if reason := jpeg_frames.why_unreadable(encoded) or _why_avif_is_too_large(encoded):
        return reason
    if other := signatures.describe_other(encoded):
        return f"not an image that can be read, but {other}"
    if name := signatures.format_of(encoded):
        return f"corrupt {name}: its header cannot be read"
    start = encoded[:12].decode("ascii", "replace").replace("�", "?")
    return f"not an image: starts with {start!r}"


def _why_avif_is_too_large(encoded: bytes) -> str:
    """The decoder does not open such a file, and does not say why."""
    at = encoded[:_AVIF_HEAD_BYTES].find(b"ispe")
    if signatures.format_of(encoded) != "AVIF" or at < 0:
        return ""
    width, height = (int.from_bytes(encoded[at + i : at + i + 4], "big") for i in (8, 12))
    too_many = width * height > MAX_PIXELS
    return f"{width}x{height} pixels: more than {MAX_PIXELS:,}" if too_many else ""
