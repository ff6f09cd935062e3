# SPDX-License-Identifier: Apache-2.0
"""How likely it is that two registered thumbnails are copies of one image.

Similar images, such as two airplanes in the sky, agree in outlines and colors. Copies also agree in
their finest details. Where an image has strong outlines, these make its correlations high, so more
is asked of it.
"""

from __future__ import annotations

import numpy as np

from mixer_tf.deduplication.alignment import band_pass
from mixer_tf.deduplication.registration import register, warp

# Standard deviations in pixels of the Gaussians of the bands of details, and the variance, in gray
# levels, that lossy encodings cause in them.
_FINEST, _FINEST_NOISE = (0.45, 0.9), 20.0
_OUTLINES = (0.9, 1.8)
_COARSE, _COARSE_NOISE = (1.8, 3.6), 4.0
_CHROMA_NOISE = 20.0
# The same for the finest details of stored thumbnails, in which noise is the mean of more pixels.
_STORED_DETAILS, _STORED_NOISE = (0.6, 1.5), 0.5
# The chroma correlation that a pair has where one image has no color.
_NEUTRAL_CHROMA = 0.5


def measure(
    first: np.ndarray,
    second: np.ndarray,
    cosines: np.ndarray,
    correlations: np.ndarray,
    gray: np.ndarray,
) -> np.ndarray:
    """Returns the numbers by which pairs of images are judged, float32 [N, 6].

    They are the correlations of the finest and the coarse details and of the chroma after the
    registration, the given correlation and cosine, and the logarithm of the variance of outlines.

    Args:
        first: uint8 [N, 32, 32, 3] in YCbCr.
        second: uint8 [N, 32, 32, 3] in YCbCr.
        cosines: float32 [N], cosines of the descriptors.
        correlations: float32 [N], as of `alignment.correlate`.
        gray: bool [N], whether at least one of the images has no color.
    """
    registration = register(first[..., 0], second[..., 0])
    first = first.astype(np.float32)
    second, mask = warp(second.astype(np.float32), registration.parameters)
    first, second = (_fill(images, mask) for images in (first, second))
    fine = [band_pass(images[..., 0], *_FINEST) for images in (first, second)]
    coarse = [band_pass(images[..., 0], *_COARSE) for images in (first, second)]
    outlines = [band_pass(images[..., 0], *_OUTLINES) for images in (first, second)]
    chroma = _correlation(first[..., 1:], second[..., 1:], mask[..., None], _CHROMA_NOISE)
    return np.stack(
        [
            _correlation(*fine, mask, _FINEST_NOISE),
            _correlation(*coarse, mask, _COARSE_NOISE),
            np.where(gray, _NEUTRAL_CHROMA, chroma.mean(-1)),
            correlations,
            cosines,
            sum(np.log1p(_moments(images, images, mask)) for images in outlines),
        ],
        axis=1,
    ).astype(np.float32)


def compare_details(
    first: np.ndarray, second: np.ndarray, registered: np.ndarray | None = None
) -> np.ndarray:
    """Returns the correlation of the finest details of stored thumbnails, float32 [N].

    Documents of one layout, which differ in their text alone, are equal in smaller thumbnails.

    Args:
        first: luma, uint8 [N, 64, 64].
        second: luma, uint8 [N, 64, 64].
        registered: luma of the same pairs, [N, 2, 32, 32], by which they are registered; None to
            compare them as they are.
    """
    first, second = first.astype(np.float32), second.astype(np.float32)
    mask = np.ones(first.shape, np.float32)
    if registered is not None:
        parameters = register(registered[:, 0], registered[:, 1]).parameters
        second, mask = warp(second, parameters)
        second = _fill(second[..., None], mask)[..., 0]
        first = _fill(first[..., None], mask)[..., 0]
    details = [band_pass(images, *_STORED_DETAILS) for images in (first, second)]
    return _correlation(*details, mask, _STORED_NOISE)


def _fill(images: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Images [N, 32, 32, C] with their means where the mask is zero."""
    mask = mask[..., None]
    means = (images * mask).sum((1, 2)) / np.maximum(mask.sum((1, 2)), 1)
    return images * mask + means[:, None, None] * (1 - mask)


def _correlation(
    first: np.ndarray, second: np.ndarray, mask: np.ndarray, noise: float
) -> np.ndarray:
    variances = _moments(first, first, mask) + noise, _moments(second, second, mask) + noise
    return _moments(first, second, mask) / np.sqrt(variances[0] * variances[1])


def _moments(first: np.ndarray, second: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The covariance of images within the mask."""
    pixels = np.maximum(mask.sum((1, 2)), 1)
    a = first - ((first * mask).sum((1, 2)) / pixels)[:, None, None]
    b = second - ((second * mask).sum((1, 2)) / pixels)[:, None, None]
    return (a * b * mask).sum((1, 2)) / pixels
