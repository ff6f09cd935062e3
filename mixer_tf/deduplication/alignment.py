# SPDX-License-Identifier: Apache-2.0
"""The correlation of the details of two thumbnails after the best small shift and zoom.

It distinguishes duplicates from similar images: two skies have the same colors and the same
horizon, but different details.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from mixer_tf.deduplication.descriptor import THUMBNAIL_SIZE

_MAX_SHIFT = 3
_ZOOMS = (1 / 1.25, 1 / 1.15, 1 / 1.07, 1.0, 1.07, 1.15, 1.25)
# Standard deviations in pixels of the two Gaussians of the band-pass filter.
_FINE_BLUR, _COARSE_BLUR = 1.0, 3.0
_SHIFTS = 2 * _MAX_SHIFT + 1
_WINDOW = THUMBNAIL_SIZE - 2 * _MAX_SHIFT


def correlate(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns the highest normalized cross-correlation of each pair, independent of other pairs.

    The center of `first` is compared with `second` at every shift and zoom.

    Args:
        first: luma, uint8 or float [N, 32, 32].
        second: luma, uint8 or float [N, 32, 32].

    Returns:
        float32 [N] in [-1, 1]; 0 for images without details.
    """
    template = _center(details(first))  # [N, 26, 26]
    views = _band_pass(second[:, None], zoom_matrices(_ZOOMS, THUMBNAIL_SIZE))  # [N, zooms, 32, 32]
    products = _shifted(template) @ _flatten(views).swapaxes(1, 2)  # [N, shifts, zooms]
    norms = np.sqrt((template * template).sum((1, 2)))[:, None, None] * _window_norms(views)
    return (products / (norms + 1)).max((1, 2))


def details(luma: np.ndarray) -> np.ndarray:
    """Band-pass filters images [..., 32, 32] against differences of light and noise; float32."""
    return _band_pass(luma, np.eye(THUMBNAIL_SIZE, dtype=np.float32))


def band_pass(images: np.ndarray, fine: float, coarse: float) -> np.ndarray:
    """Returns the difference of images [..., S, S] after two Gaussian filters; float32.

    Args:
        images: uint8 or float.
        fine: standard deviation of one filter in pixels.
        coarse: that of the other; what is larger than it is removed.
    """
    size = images.shape[-1]
    images, fine, coarse = images.astype(np.float32), _blur(fine, size), _blur(coarse, size)
    return fine @ images @ fine.T - coarse @ images @ coarse.T


def _band_pass(luma: np.ndarray, zoom: np.ndarray) -> np.ndarray:
    """The details of images after a zoom, given as one matrix [32, 32] or several."""
    luma = luma.astype(np.float32)
    fine, coarse = _blur(_FINE_BLUR) @ zoom, _blur(_COARSE_BLUR) @ zoom
    return fine @ luma @ fine.swapaxes(-1, -2) - coarse @ luma @ coarse.swapaxes(-1, -2)


def _center(images: np.ndarray) -> np.ndarray:
    """The center [N, 26, 26] with mean zero, so that the mean of the other image cancels."""
    inner = images[:, _MAX_SHIFT:-_MAX_SHIFT, _MAX_SHIFT:-_MAX_SHIFT]
    return inner - inner.mean((1, 2), keepdims=True)


def _shifted(template: np.ndarray) -> np.ndarray:
    """The template at every shift, padded with zeros: [N, 26, 26] → [N, 49, 1024]."""
    margin = 2 * _MAX_SHIFT
    padded = np.pad(template, ((0, 0), (margin, margin), (margin, margin)))
    windows = sliding_window_view(padded, (THUMBNAIL_SIZE, THUMBNAIL_SIZE), axis=(1, 2))
    return windows[:, ::-1, ::-1].reshape(len(template), _SHIFTS**2, -1)


def _window_norms(views: np.ndarray) -> np.ndarray:
    """The norm of every window minus its mean: [N, zooms, 32, 32] → [N, 49, zooms]."""
    sums = _box_matrix()
    total = sums @ views @ sums.T
    squares = sums @ (views * views) @ sums.T - total * total / _WINDOW**2
    return np.sqrt(np.maximum(_flatten(squares), 0)).swapaxes(1, 2)


def _flatten(images: np.ndarray) -> np.ndarray:
    return images.reshape(*images.shape[:-2], -1)


@functools.cache
def _blur(deviation: float, size: int = THUMBNAIL_SIZE) -> np.ndarray:
    """A Gaussian filter as a matrix [size, size] whose rows sum to one, also at the border."""
    index = np.arange(size)
    weight = np.exp(-0.5 * ((index[:, None] - index) / deviation) ** 2)
    return (weight / weight.sum(1, keepdims=True)).astype(np.float32)


@functools.cache
def zoom_matrices(zooms: tuple[float, ...], size: int) -> np.ndarray:
    """Linear interpolation around the center as matrices, float32 [Z, S, S]; borders repeat.

    Args:
        zooms: Z factors; an image is enlarged by those above 1.
        size: side S of the images.
    """
    center = (size - 1) / 2
    index = (np.arange(size) - center) / np.array(zooms)[:, None] + center
    index = np.clip(index, 0, size - 1)
    distance = np.abs(index[:, :, None] - np.arange(size))
    return np.maximum(1 - distance, 0).astype(np.float32)


@functools.cache
def _box_matrix() -> np.ndarray:
    """The matrix that sums over the window at every shift, [7, 32]."""
    offset = np.arange(THUMBNAIL_SIZE) - np.arange(_SHIFTS)[:, None]
    return ((offset >= 0) & (offset < _WINDOW)).astype(np.float32)
