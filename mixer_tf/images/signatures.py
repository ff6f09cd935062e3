# SPDX-License-Identifier: Apache-2.0
"""Recognizes an image by the first bytes of a file; needs neither TensorFlow nor PIL."""

from __future__ import annotations

import re

# How many bytes of a file `is_image` needs.
SIZE = 32

_STARTS = re.compile(
    rb"\xff\xd8\xff"
    rb"|\x89PNG\r\n\x1a\n"
    rb"|GIF8[79]a"
    # The fifth field of a BMP is the size of its second header.
    rb"|BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\x00\x00\x00"
    rb"|RIFF.{4}WEBP"
    rb"|II\*\x00|MM\x00\*"
    # ICO: from 1 to 255 images.
    rb"|\x00\x00\x01\x00[^\x00]\x00"
    rb"|\x00\x00\x00\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"
    rb"|.{4}ftyp(?:avif|avis|heic|heix|hevc|mif1|msf1)"
    rb"|P[1-6]\s+(?:#|[0-9])",
    re.DOTALL,
)


def is_image(start: bytes) -> bool:
    """Whether a file that starts with these bytes is an image of a common format.

    JPEG, PNG, GIF, BMP, WebP, TIFF, ICO, JPEG 2000, AVIF, HEIC and PPM are recognized. A raw
    photograph may start like a TIFF, and a TGA has no signature.
    """
    return _STARTS.match(start[:SIZE]) is not None
