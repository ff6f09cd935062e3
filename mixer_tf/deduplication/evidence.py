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
# Parts of stored thumbnails, in pixels of each side; those with a lower variance of their details,
# in gray levels, are empty. Images differ if more than this share of their parts do; few parts do
# not count.
_PART, _MIN_VARIANCE, _PART_NOISE = 8, 2.0, 0.5
_DIFFERENT_SHARE, _FEW_PARTS = 0.15, 4
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
    # Channels first: sums over pixels are then over contiguous arrays.
    first, second = (
        np.ascontiguousarray(np.moveaxis(images, -1, 1), np.float32) for images in (first, second)
    )
    second, mask = warp(second, registration.parameters)
    first, second = (_fill(images, mask[:, None]) for images in (first, second))
    fine = [band_pass(images[:, 0], *_FINEST) for images in (first, second)]
    coarse = [band_pass(images[:, 0], *_COARSE) for images in (first, second)]
    outlines = [band_pass(images[:, 0], *_OUTLINES) for images in (first, second)]
    chroma = _correlation(first[:, 1:], second[:, 1:], mask[:, None], _CHROMA_NOISE)
    return np.stack(
        [
            _correlation(*fine, mask, _FINEST_NOISE),
            _correlation(*coarse, mask, _COARSE_NOISE),
            np.where(gray, _NEUTRAL_CHROMA, chroma.mean(-1)),
            correlations,
            cosines,
            sum(np.log1p(_variance(images, mask)) for images in outlines),
        ],
        axis=1,
    ).astype(np.float32)


def compare_details(
    first: np.ndarray, second: np.ndarray, registered: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the correlations of the finest details of stored thumbnails: of all, and of parts.

    Documents of one layout, which differ in their text alone, are equal in smaller thumbnails.
    Lines of text at the same height are alike as well, so the means of the rows and columns of a
    part are not compared.

    Args:
        first: luma, uint8 [N, 64, 64].
        second: luma, uint8 [N, 64, 64].
        registered: luma of the same pairs, [N, 2, 32, 32], by which they are registered; None to
            compare them as they are.

    Returns:
        float32 [N], the correlation of all details; and float32 [N], the correlation that 15 %
        of the parts do not reach, 1 where only a few parts have details.
    """
    first, second = first.astype(np.float32), second.astype(np.float32)
    mask = np.ones(first.shape, np.float32)
    if registered is not None:
        parameters = register(registered[:, 0], registered[:, 1]).parameters
        second, mask = warp(second, parameters)
        first, second = _fill(first, mask), _fill(second, mask)
    details = [band_pass(images, *_STORED_DETAILS) for images in (first, second)]
    whole = _correlation(*details, mask, _STORED_NOISE)
    return whole, _compare_parts(*(_residuals(images * mask) for images in details))


def _residuals(images: np.ndarray) -> np.ndarray:
    """Parts of images without the means of their rows and columns, [N, 64 parts, 8, 8]."""
    num, side = len(images), images.shape[1] // _PART
    parts = images.reshape(num, side, _PART, side, _PART).swapaxes(2, 3)
    parts = parts.reshape(num, side * side, _PART, _PART)
    parts = parts - parts.mean(-1, keepdims=True)
    return parts - parts.mean(-2, keepdims=True)


def _compare_parts(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The correlation that 15 % of the parts do not reach, [N]."""
    covariance, variance, other = (
        (a * b).mean((-2, -1)) for a, b in ((first, second), (first, first), (second, second))
    )
    correlations = covariance / np.sqrt((variance + _PART_NOISE) * (other + _PART_NOISE))
    is_used = np.maximum(variance, other) >= _MIN_VARIANCE
    number = is_used.sum(1)
    ordered = np.sort(np.where(is_used, correlations, np.inf), axis=1)
    index = np.floor(_DIFFERENT_SHARE * np.maximum(number - 1, 0)).astype(np.int64)
    lowest = ordered[np.arange(len(ordered)), index]
    return np.where(number < _FEW_PARTS, 1, lowest).astype(np.float32)


def _fill(images: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Images [..., S, S] with their means where the mask, of 0 and 1, is zero."""
    return np.where(mask > 0, images, _means(images, mask))


def _correlation(
    first: np.ndarray, second: np.ndarray, mask: np.ndarray, noise: float
) -> np.ndarray:
    """The correlation of images [..., S, S] within the mask, [...]."""
    first, second = _centered(first, mask), _centered(second, mask)
    covariance, variance, other = (
        _mean_product(a, b, mask) for a, b in ((first, second), (first, first), (second, second))
    )
    return covariance / np.sqrt((variance + noise) * (other + noise))


def _variance(images: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The variance of images within the mask."""
    centered = _centered(images, mask)
    return _mean_product(centered, centered, mask)


def _centered(images: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The images minus their means within the mask; zero outside of it."""
    return (images - _means(images, mask)) * mask


def _means(images: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The means within the mask, [..., 1, 1]."""
    return _mean_product(images, mask, mask)[..., None, None]


def _mean_product(first: np.ndarray, second: np.ndarray, mask: np.ndarray) -> np.ndarray:
    pixels = np.maximum(mask.sum((-2, -1)), 1)
    first, second = np.broadcast_arrays(first, second)
    return np.einsum("...yx,...yx->...", first, second) / pixels
