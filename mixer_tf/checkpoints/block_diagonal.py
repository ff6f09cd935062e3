# SPDX-License-Identifier: Apache-2.0
"""The weights of a Mixer for images of a higher resolution (paper, supplement C).

Only the token-mixing MLPs depend on the number of patches. For images K times as high and wide,
the larger MLP consists of K² copies of the smaller one: each copy mixes the tokens of one of the
K x K tiles of the image.

The ablations of supplement A.1 that keep the number of tokens are treated alike: a column then has
the S tokens of each of G channels, and untied MLPs have weights for each column, [C/G, ...].
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from mixer_tf.checkpoints.lazy_arrays import LazyArrays, Source, rearrange

Grid = tuple[int, int]  # rows and columns of patches
Changes = dict[str, Callable[[np.ndarray], np.ndarray]]

_TOKEN_MIXING = re.compile(r"MixerBlock_\d+/token_mixing/(Dense_[01]/(?:kernel|bias))")


def block_diagonal(arrays: LazyArrays, grid: Grid, factor: int, *, groups: int = 1) -> LazyArrays:
    """Returns the weights for images `factor` times as high and wide.

    For any image, the logits of the larger network are the mean of the smaller network's logits
    for the tiles; if all tiles are the same image, they equal the logits for that image exactly.

    Args:
        arrays: weights under the names of a Flax checkpoint; only token-mixing weights change.
        grid: rows and columns of patches that the weights are for.
        factor: K, at least 1.
        groups: G, the number of channels whose tokens one column holds; the paper's Mixer has 1.
    """
    inputs = _inputs_of_tiles(grid, factor, groups)  # [K², G·S]
    num_tiles, num_inputs = inputs.shape

    def kernel_in(kernel):  # [..., G·S, D] -> [..., K²·G·S, K²·D]
        *columns, _, width = kernel.shape
        large = np.zeros((*columns, num_tiles * num_inputs, num_tiles * width), kernel.dtype)
        for tile in range(num_tiles):
            large[..., inputs[tile], tile * width : (tile + 1) * width] = kernel
        return large

    def bias_out(bias):  # [..., G·S] -> [..., K²·G·S]
        large = np.empty((*bias.shape[:-1], num_tiles * num_inputs), bias.dtype)
        large[..., inputs] = bias[..., np.newaxis, :]
        return large

    changes = {
        "Dense_0/kernel": kernel_in,
        "Dense_0/bias": lambda bias: np.tile(bias, num_tiles),
        "Dense_1/kernel": lambda kernel: _transpose(kernel_in(_transpose(kernel))),
        "Dense_1/bias": bias_out,
    }
    return _change_token_mixing(arrays, changes)


def _inputs_of_tiles(grid: Grid, factor: int, groups: int) -> np.ndarray:
    """Returns where the tokens of each tile are in a column of the whole image, [K², G·S].

    The tokens of a tile are not contiguous in the row-major order of the whole image; without these
    indices a copy of the MLP would mix patches of different tiles.
    """
    rows, columns = grid
    indices = np.arange(groups * factor * rows * factor * columns)
    indices = indices.reshape(groups, factor, rows, factor, columns)
    return indices.transpose(1, 3, 0, 2, 4).reshape(factor**2, groups * rows * columns)


def interpolate(arrays: LazyArrays, grid: Grid, new_grid: Grid) -> LazyArrays:
    """Returns the weights for a grid of any size, resized bilinearly; tokens_mlp_dim stays.

    Args:
        arrays: weights under the names of a Flax checkpoint; only token-mixing weights change.
        grid: rows and columns of patches that the weights are for.
        new_grid: rows and columns of patches of the new model.
    """
    # Deviation: the paper has integer multiples only. Here the input and output weights of a hidden
    # unit are treated as images on the grid of patches. The input weights are divided by the
    # growth in the number of patches, so that a uniform image gives the same activation as before.
    growth = (new_grid[0] * new_grid[1]) / (grid[0] * grid[1])

    def resize(weights):  # [..., G·S] -> [..., G·S']
        import tensorflow as tf

        images = np.asarray(weights, np.float32).reshape(-1, *grid, 1)
        resized = tf.image.resize(images, new_grid, antialias=True)
        return resized.numpy().reshape(*weights.shape[:-1], -1)

    changes = {
        "Dense_0/kernel": lambda k: _transpose(resize(_transpose(k))) / np.float32(growth),
        "Dense_1/kernel": resize,
        "Dense_1/bias": resize,
    }
    return _change_token_mixing(arrays, changes)


def _transpose(kernel: np.ndarray) -> np.ndarray:
    """Exchanges the last two axes: [..., A, B] -> [..., B, A]."""
    return np.swapaxes(kernel, -1, -2)


def _change_token_mixing(arrays: LazyArrays, changes: Changes) -> LazyArrays:
    def source(name: str) -> Source:
        match = _TOKEN_MIXING.fullmatch(name)
        return Source(name, changes.get(match[1], np.asarray)) if match else Source(name)

    return rearrange(arrays, {name: source(name) for name in arrays.shapes})
