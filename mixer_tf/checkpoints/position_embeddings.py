# SPDX-License-Identifier: Apache-2.0
"""Resizes the position embeddings of a ViT to another number of patches."""

from __future__ import annotations

import math

import numpy as np

Grid = tuple[int, int]  # rows and columns of patches


def fit_position_embeddings(
    embeddings: np.ndarray, grid: Grid, has_class_token: bool
) -> np.ndarray:
    """Returns position embeddings for `grid`, resized if they are for another grid.

    A checkpoint's grid can be inferred from the number of positions only if it is square, as in all
    published checkpoints. A class token without a position embedding (big_vision has already added
    it to the token) gets zeros.

    Shape: [1, S, D] -> [1, S', D]; unchanged if no square grid has S positions.

    Args:
        embeddings: position embeddings; that of the class token, if there is one, comes first.
        grid: rows and columns of patches of the model.
        has_class_token: whether the model has a class token.
    """
    rows, columns = grid
    num_positions, width = embeddings.shape[1:]
    if num_positions == rows * columns + has_class_token:
        return embeddings
    token = np.zeros((1, int(has_class_token), width), embeddings.dtype)
    if has_class_token and not _is_square(num_positions):
        token, embeddings = embeddings[:, :1], embeddings[:, 1:]
    if not _is_square(embeddings.shape[1]):
        return np.concatenate([token, embeddings], axis=1)
    side = math.isqrt(embeddings.shape[1])
    resized = resize_grid(embeddings.reshape(side, side, width), grid)
    return np.concatenate([token, resized.reshape(1, rows * columns, width)], axis=1)


def resize_grid(values: np.ndarray, grid: Grid) -> np.ndarray:
    """Resizes bilinearly with aligned corners, as the authors' code does.

    Equals `scipy.ndimage.zoom(values, zoom, order=1)` (vit_jax/checkpoint.py).

    Shape: [rows, columns, D] -> [*grid, D].
    """
    resized = values.astype(np.float64)
    for axis, length in enumerate(grid):
        resized = _interpolate(resized, axis, length)
    return resized.astype(values.dtype)


def _interpolate(values: np.ndarray, axis: int, length: int) -> np.ndarray:
    positions = np.linspace(0, values.shape[axis] - 1, length)
    below = np.floor(positions).astype(int)
    above = np.minimum(below + 1, values.shape[axis] - 1)
    weight = (positions - below).reshape([-1 if i == axis else 1 for i in range(values.ndim)])
    return values.take(below, axis) * (1 - weight) + values.take(above, axis) * weight


def _is_square(number: int) -> bool:
    return math.isqrt(number) ** 2 == number
