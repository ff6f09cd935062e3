# SPDX-License-Identifier: Apache-2.0
"""The position embeddings of a ViT for another number of patches."""

from __future__ import annotations

import math

import numpy as np

Grid = tuple[int, int]  # rows and columns of patches


def fit_positions(positions: np.ndarray, grid: Grid, has_class_token: bool) -> np.ndarray:
    """Returns the position embeddings for `grid`: resized where they are for another one.

    A stored number of positions tells its grid only if that is square, as all published ones are.
    A class token without a position of its own (big_vision adds it afterwards) gets zeros.

    Shape: [1, S, D] -> [1, S', D]; unchanged where S says nothing about a square grid.

    Args:
        positions: with that of the class token, where there is one, first.
        grid: rows and columns that the model has.
        has_class_token: whether the model has one.
    """
    rows, columns = grid
    num_positions, width = positions.shape[1:]
    if num_positions == rows * columns + has_class_token:
        return positions
    tokens = np.zeros((1, int(has_class_token), width), positions.dtype)
    if has_class_token and not _is_square(num_positions):
        tokens, positions = positions[:, :1], positions[:, 1:]
    if not _is_square(positions.shape[1]):
        return np.concatenate([tokens, positions], axis=1)
    side = math.isqrt(positions.shape[1])
    resized = resize_grid(positions.reshape(side, side, width), grid)
    return np.concatenate([tokens, resized.reshape(1, rows * columns, width)], axis=1)


def resize_grid(values: np.ndarray, grid: Grid) -> np.ndarray:
    """Bilinear interpolation whose corners stay in the corners, as the authors' code does it.

    That is `scipy.ndimage.zoom(values, zoom, order=1)` (vit_jax/checkpoint.py).

    Shape: [rows, columns, D] -> [*grid, D].
    """
    resized = values.astype(np.float64)
    for axis, length in enumerate(grid):
        resized = _interpolate(resized, axis, length)
    return resized.astype(values.dtype)


def _interpolate(values: np.ndarray, axis: int, length: int) -> np.ndarray:
    places = np.linspace(0, values.shape[axis] - 1, length)
    below = np.floor(places).astype(int)
    above = np.minimum(below + 1, values.shape[axis] - 1)
    weight = (places - below).reshape([-1 if i == axis else 1 for i in range(values.ndim)])
    return values.take(below, axis) * (1 - weight) + values.take(above, axis) * weight


def _is_square(number: int) -> bool:
    return math.isqrt(number) ** 2 == number
