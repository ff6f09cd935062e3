# SPDX-License-Identifier: Apache-2.0
"""How alike two images must be before one counts as a copy of the other.

Two photographs that agree as well as `ALIKE` are copies. Two drawings of the digit 1 agree better
than that, and are none; there, only what re-encoding and enlarging do to an image is allowed.
"""

from __future__ import annotations

import numpy as np

from components.deduplicator.alignment import details

# 5,000 test images of CIFAR-10 against its 50,000 training images: 85 % of the duplicates that
# ciFAIR lists are found with 6 false alarms; at 0.85 it is 87 % with 9.
ALIKE = 0.86
# A colour image and a greyscale one: there is less to compare.
ALIKE_WITHOUT_COLOUR = 0.92
# The 1,797 digits of scikit-learn: no two are more alike than 0.993; JPEG copies of quality 90,
# and copies enlarged four times, all reach this.
SAME = 0.996
# More than any two images can agree: only equal bytes count.
NEVER = 2.0

_SMALL_SIDE = 16
# Standard deviation, in grey levels, of the details of a thumbnail.
_FLAT = 0.5


def required_similarity(luma: np.ndarray, shorter_sides: np.ndarray) -> np.ndarray:
    """Returns how alike another image must be to count as a copy of each of these.

    Args:
        luma: thumbnails, uint8 [N, 32, 32].
        shorter_sides: of the images themselves, in pixels, [N].

    Returns:
        float32 [N]: `SAME` for images too small to tell alike from same, `NEVER` for images of
        one colour, `ALIKE` for all others.
    """
    detail = details(luma).std((1, 2))
    required = np.where(shorter_sides < _SMALL_SIDE, SAME, ALIKE)
    return np.where(detail < _FLAT, NEVER, required).astype(np.float32)
