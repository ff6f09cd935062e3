# SPDX-License-Identifier: Apache-2.0
"""Registers two thumbnails: the scale and shift of each axis at which their details agree best.

Gauss-Newton steps on the squared difference, from coarse to fine details. Most copies are crops of
one another, so scales and shifts suffice; a small rotation is approximated well enough.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from mixer_tf.deduplication.alignment import band_pass
from mixer_tf.deduplication.descriptor import THUMBNAIL_SIZE

# Scales where the first steps start, numbers of steps, and standard deviations in pixels of the two
# Gaussians of the band-pass filters.
_FIRST_SCALES = (0.87, 1.0, 1.15)
_FIRST_STEPS, _COARSE_STEPS, _FINE_STEPS = 2, 3, 4
_COARSE_BAND, _FINE_BAND = (1.5, 5.0), (0.8, 4.0)
# Limits: of a scale and of a shift in pixels, and of one step of each.
_MAX_SCALE, _MAX_SHIFT = 1.45, 8.0
_MAX_STEP = np.array([0.1, 1.5, 0.1, 1.5], np.float32)
# The share of the pixels that both images must have in common.
_MIN_OVERLAP = 0.5
_CENTER = (THUMBNAIL_SIZE - 1) / 2


@dataclasses.dataclass(frozen=True)
class Registration:
    """How the second image of each of N pairs is mapped to the first.

    Attributes:
        parameters: float32 [N, 4]: scale and shift in pixels along x, then along y; the pixel x of
            the first image, counted from the center, is the pixel scale * x + shift of the second.
        correlation: float32 [N], normalized cross-correlation of the details that overlap.
    """

    parameters: np.ndarray
    correlation: np.ndarray


def register(first: np.ndarray, second: np.ndarray) -> Registration:
    """Registers pairs of images; each result is independent of the other pairs.

    Args:
        first: luma, uint8 or float [N, 32, 32].
        second: luma, uint8 or float [N, 32, 32].
    """
    images = band_pass(first, *_COARSE_BAND), band_pass(second, *_COARSE_BAND)
    starts = [_refine(*images, _start(len(first), scale), _FIRST_STEPS) for scale in _FIRST_SCALES]
    best = np.argmax([start.correlation for start in starts], axis=0)
    parameters = np.stack([start.parameters for start in starts])[best, np.arange(len(first))]
    parameters = _refine(*images, parameters, _COARSE_STEPS).parameters
    images = band_pass(first, *_FINE_BAND), band_pass(second, *_FINE_BAND)
    return _refine(*images, parameters, _FINE_STEPS)


def warp(images: np.ndarray, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Maps images as `Registration` says.

    Args:
        images: float32 [N, S, S] or [N, C, S, S]; S = 32, or more for larger thumbnails.
        parameters: float32 [N, 4], of thumbnails of 32 pixels.

    Returns:
        The mapped images, of the same shape, and which pixels they cover, float32 [N, S, S].
    """
    size = images.shape[-1]
    shifts = parameters[:, 1::2] * np.float32(size / THUMBNAIL_SIZE)
    columns, inside_x = _interpolation(parameters[:, 0], shifts[:, 0], size)
    rows, inside_y = _interpolation(parameters[:, 2], shifts[:, 1], size)
    # Contiguous arrays: matrix products of others are several times slower.
    columns = np.ascontiguousarray(columns.swapaxes(1, 2))
    if images.ndim == 4:
        rows, columns = rows[:, None], columns[:, None]
    mask = inside_y[:, :, None] * inside_x[:, None, :]
    return rows @ np.ascontiguousarray(images) @ columns, mask


def _start(number: int, scale: float) -> np.ndarray:
    return np.tile(np.array([scale, 0, scale, 0], np.float32), (number, 1))


def _refine(
    first: np.ndarray, second: np.ndarray, parameters: np.ndarray, steps: int
) -> Registration:
    """Takes the steps, and returns the best of all parameters on the way."""
    channels = np.stack([second, second @ _difference().T, _difference() @ second], 1)
    best = Registration(parameters, np.full(len(first), -2, np.float32))
    for step in range(steps + 1):
        warped, mask = warp(channels if step < steps else channels[:, :1], parameters)
        a, b = _centered(first, mask), _centered(warped[:, 0], mask)
        correlation = _correlation(a, b, mask)
        better = correlation > best.correlation
        best = Registration(
            np.where(better[:, None], parameters, best.parameters),
            np.where(better, correlation, best.correlation),
        )
        if step < steps:
            parameters = _limit(parameters + _step(a, b, mask, warped[:, 1:]))
    return best


def _step(
    first: np.ndarray, second: np.ndarray, mask: np.ndarray, gradients: np.ndarray
) -> np.ndarray:
    """The Gauss-Newton step for scales and shifts, beside a gain of the second image.

    `gradients` [N, 2, 32, 32] are those of the second image along x and y.
    """
    products = _products(first, second, mask, gradients)
    gain = products[:, 4, 5] / (products[:, 4, 4] + 1)
    gain = np.clip(gain, 0.1, 10)[:, None]
    # The derivatives by scales and shifts are those of the second image times the gain.
    factors = np.where(np.arange(5) < 4, gain, np.float32(1))
    hessian = products[:, :5, :5] * factors[:, :, None] * factors[:, None]
    residual = factors * (products[:, :5, 5] - gain * products[:, :5, 4])
    # A little damping, so that images without details have a solution.
    damping = 2e-4 * np.trace(hessian, axis1=1, axis2=2) + 1e-3
    hessian += damping[:, None, None] * np.eye(5, dtype=np.float32)
    solution = np.linalg.solve(hessian, residual[..., None])[:, :4, 0]
    return np.clip(solution, -_MAX_STEP, _MAX_STEP).astype(np.float32)


def _products(
    first: np.ndarray, second: np.ndarray, mask: np.ndarray, gradients: np.ndarray
) -> np.ndarray:
    """The inner products [N, 6, 6] of four derivatives, the second and the first image."""
    offset = (np.arange(THUMBNAIL_SIZE) - _CENTER).astype(np.float32)
    rows = np.empty((len(first), 6, *first.shape[1:]), np.float32)
    np.multiply(gradients, mask[:, None], out=rows[:, 1:4:2])
    np.multiply(rows[:, 1], offset, out=rows[:, 0])
    np.multiply(rows[:, 3], offset[:, None], out=rows[:, 2])
    rows[:, 4], rows[:, 5] = second, first
    rows = rows.reshape(len(first), 6, -1)
    return rows @ rows.swapaxes(1, 2)


def _limit(parameters: np.ndarray) -> np.ndarray:
    scales = np.clip(parameters[:, 0::2], 1 / _MAX_SCALE, _MAX_SCALE)
    shifts = np.clip(parameters[:, 1::2], -_MAX_SHIFT, _MAX_SHIFT)
    return np.stack([scales[:, 0], shifts[:, 0], scales[:, 1], shifts[:, 1]], 1)


def _centered(images: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The images minus their mean within the mask; zero outside of it."""
    means = (images * mask).sum((1, 2)) / np.maximum(mask.sum((1, 2)), 1)
    return (images - means[:, None, None]) * mask


def _correlation(first: np.ndarray, second: np.ndarray, mask: np.ndarray) -> np.ndarray:
    pixels = mask.sum((1, 2))
    products = (_sums(a, b) for a, b in ((first, second), (first, first), (second, second)))
    covariance, variance, other = products
    correlation = covariance / (np.sqrt(variance * other) + 1e-3 * pixels + 1)
    return np.where(pixels < _MIN_OVERLAP * THUMBNAIL_SIZE**2, -1, correlation).astype(np.float32)


def _sums(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The sums of products over all pixels, [N] from [N, S, S]."""
    return np.einsum("nyx,nyx->n", first, second)


def _interpolation(
    scale: np.ndarray, shift: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Linear interpolation as matrices [N, size, size], and which pixels are inside, [N, size]."""
    center = np.float32((size - 1) / 2)
    offset = np.arange(size, dtype=np.float32) - center
    position = scale[:, None] * offset + shift[:, None] + center
    inside = (position >= -0.25) & (position <= size - 0.75)
    position = np.clip(position, 0, size - 1 - 1e-4)
    left = np.floor(position).astype(np.int64)
    fraction = (position - left).astype(np.float32)
    matrix = np.zeros((*position.shape, size), np.float32)
    flat, index = matrix.reshape(-1), left.reshape(-1) + size * np.arange(left.size)
    flat[index], flat[index + 1] = 1 - fraction.reshape(-1), fraction.reshape(-1)
    return matrix, inside.astype(np.float32)


@functools.cache
def _difference() -> np.ndarray:
    """The difference of both neighbors of each pixel as a matrix, float32 [32, 32]."""
    matrix = np.zeros((THUMBNAIL_SIZE, THUMBNAIL_SIZE), np.float32)
    for index in range(THUMBNAIL_SIZE):
        before, after = max(index - 1, 0), min(index + 1, THUMBNAIL_SIZE - 1)
        matrix[index, after] += 1 / (after - before)
        matrix[index, before] -= 1 / (after - before)
    return matrix
