# SPDX-License-Identifier: Apache-2.0
"""How alike two images must be before one counts as a copy of the other.

Two photographs that agree as well as `DUPLICATE` are copies. Two drawings of the digit 1 agree
better than that, and are not; there, only what re-encoding and enlarging do to an image is allowed.
"""

from __future__ import annotations

import numpy as np

from mixer_tf.deduplication.alignment import details

# 5,000 test images of CIFAR-10 against its 50,000 training images: 85 % of the duplicates that
# ciFAIR lists are found with 6 false alarms; at 0.85 it is 87 % with 9.
DUPLICATE = 0.86
# A colour image and a greyscale one: there is less to compare.
GRAYSCALE_DUPLICATE = 0.92
# The 1,797 digits of scikit-learn: no two are more alike than 0.993; JPEG copies of quality 90,
# and copies enlarged four times, all reach this.
NEAR_IDENTICAL = 0.996
# More than any two images can agree: only equal bytes count.
UNMATCHABLE = 2.0

_SMALL_SIDE = 16
# Standard deviation, in grey levels, of the details of a thumbnail.
_FLAT = 0.5


def image_thresholds(luma: np.ndarray, shorter_sides: np.ndarray) -> np.ndarray:
    """Returns how alike another image must be to count as a copy of each of these.

    Args:
        luma: thumbnails, uint8 [N, 32, 32].
        shorter_sides: of the images themselves, in pixels, [N].

    Returns:
        float32 [N]: `NEAR_IDENTICAL` for images too small to tell similar from equal,
        `UNMATCHABLE` for images of one color, `DUPLICATE` for all others.
    """
    detail = details(luma).std((1, 2))
    thresholds = np.where(shorter_sides < _SMALL_SIDE, NEAR_IDENTICAL, DUPLICATE)
    return np.where(detail < _FLAT, UNMATCHABLE, thresholds).astype(np.float32)
