# SPDX-License-Identifier: Apache-2.0
"""Measures an image for statistics: size, brightness, contrast, color. PIL and numpy alone.

Large images are decoded at a reduced size, which changes their means by less than a gray level.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from PIL import ExifTags, Image

from mixer_tf.images import conversion, headers

# The shorter side of the measured pixels is reduced to at least this, and less than twice this.
MEASURED_SIDE = 64
# Below these, in gray levels: the spread of the channels (root mean square) of an image without
# color, whose channels differ by the noise of its encoding, and the contrast of an image of nearly
# one color.
_GRAY_SPREAD, _FLAT_CONTRAST = 4.0, 2.0
_LUMA = np.array([299, 587, 114])  # thousandths, ITU-R BT.601


@dataclasses.dataclass(frozen=True)
class Measurement:
    """What was measured of one image. Pixel values range from 0 to 255.

    Attributes:
        width, height: in pixels, upright.
        brightness: mean of luma.
        contrast: standard deviation of luma.
        means: means of red, green and blue.
        squares: means of their squares.
        is_gray: whether the image has no color.
        is_flat: whether it is nearly of one color.
    """

    width: int
    height: int
    brightness: float
    contrast: float
    means: tuple[float, float, float]
    squares: tuple[float, float, float]
    is_gray: bool
    is_flat: bool


def measure(encoded: bytes, width: int, height: int) -> Measurement:
    """Decodes and measures an image; sums are of integers, so equal on every machine.

    Transparent images are measured over white. The contrast and the squares are those of the
    reduced image; at full size, noise and fine details add to them.

    Args:
        encoded: the bytes of an image whose size `headers.read_header` has checked.
        width, height: its size as stored, in pixels.

    Raises:
        UnusableImageError: the bytes are not an image, or its pixels cannot be read.
    """
    image = conversion.read_rgb(encoded, MEASURED_SIDE)
    if _is_turned(encoded, image, width, height):
        width, height = height, width
    factor = max(1, min(image.size) // MEASURED_SIDE)
    size = image.width // factor, image.height // factor
    reduced = image.resize(size, Image.Resampling.BOX) if factor > 1 else image
    planes = np.ascontiguousarray(np.asarray(reduced).reshape(-1, 3).T).astype(np.int64)
    luma = _LUMA @ planes
    brightness = luma.sum() / luma.size / 1000
    variance = max(0.0, luma @ luma / luma.size / 1e6 - brightness**2)
    spread = np.maximum.reduce(planes) - np.minimum.reduce(planes)
    return Measurement(
        width,
        height,
        brightness=float(brightness),
        contrast=math.sqrt(variance),
        means=tuple((plane.sum() / plane.size).item() for plane in planes),
        squares=tuple((plane @ plane / plane.size).item() for plane in planes),
        is_gray=math.sqrt(spread @ spread / spread.size) < _GRAY_SPREAD,
        is_flat=math.sqrt(variance) < _FLAT_CONTRAST,
    )


def _is_turned(encoded: bytes, image: Image.Image, width: int, height: int) -> bool:
    """Whether the upright image, possibly reduced, has the stored height as its width."""
    if width == height or image.width != image.height:
        return (image.width > image.height) != (width > height)
    # Reduced, 129x130 is a square.
    with headers.open_image(encoded) as stored:
        return stored.getexif().get(ExifTags.Base.Orientation, 1) >= 5
