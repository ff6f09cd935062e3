# SPDX-License-Identifier: Apache-2.0
"""Images whose pixels are 0 and 1, as those with 0 and 255."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image


def scale_binary(encoded: bytes) -> bytes:
    """Returns a PNG with 255 for every 1 of a grayscale PNG.

    Raises:
        ValueError: the image has other pixels than 0 and 1.
    """
    pixels = np.asarray(Image.open(io.BytesIO(encoded)))
    if pixels.ndim != 2 or pixels.max() > 1:
        raise ValueError(
            f"a binary image must have one channel of 0 and 1; got {list(pixels.shape)} with a "
            f"maximum of {pixels.max()}."
        )
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8) * 255).save(file, "PNG")
    return file.getvalue()
