# SPDX-License-Identifier: Apache-2.0
"""Thresholds of similarity from which two images are duplicates.

Two photographs with a similarity of `DUPLICATE` are duplicates. Two drawings of the digit 1 are
more similar than that and are not; there, only re-encoded and enlarged images are duplicates.
"""

from __future__ import annotations

import numpy as np

from mixer_tf.deduplication.alignment import details

DUPLICATE = 0.75
# For a color and a grayscale image, where only luma can be compared.
GRAYSCALE_DUPLICATE = 0.9
# Of the 1,797 digits of scikit-learn, no two have a similarity above 0.993; JPEG copies of quality
# 90, and copies enlarged four times, are all above this.
NEAR_IDENTICAL = 0.996
# Candidates are pairs whose descriptors have at least this cosine; that of crops, which never fit
# exactly, and of small images is lower. With 0.66 for small images, 2 of the 117 duplicates that
# people found in CIFAR-10 were no candidates, at the same cost.
MIN_COSINE, MIN_COSINE_OF_VIEWS, MIN_COSINE_OF_SMALL = 0.6, 0.52, 0.58
# Above any similarity: only files with equal bytes are duplicates.
UNMATCHABLE = 2.0

# Images with a shorter side below this, in pixels, are too small to tell similar from equal.
_SMALL_SIDE = 16
# Images of one color have a lower standard deviation of the details of their thumbnail, in gray
# levels.
_FLAT = 0.5


def image_thresholds(
    luma: np.ndarray, shorter_sides: np.ndarray, threshold: float = DUPLICATE
) -> np.ndarray:
    """Returns the threshold for duplicates of each image.

    Args:
        luma: luma of the thumbnails, uint8 [N, 32, 32].
        shorter_sides: shorter sides of the images before they became thumbnails, in pixels, [N].
        threshold: the threshold for photographs.

    Returns:
        float32 [N]: `NEAR_IDENTICAL` or `threshold`, whichever is higher, for small images;
        `UNMATCHABLE` for images of one color; `threshold` for all others.
    """
    detail = details(luma).std((1, 2))
    near_identical = max(threshold, NEAR_IDENTICAL)
    thresholds = np.where(shorter_sides < _SMALL_SIDE, near_identical, threshold)
    return np.where(detail < _FLAT, UNMATCHABLE, thresholds).astype(np.float32)
