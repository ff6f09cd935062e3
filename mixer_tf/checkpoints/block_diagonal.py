# SPDX-License-Identifier: Apache-2.0
"""The weights of a Mixer for images of a higher resolution (paper, supplement C).

Only the token-mixing MLPs depend on the number of patches. For images K times as high and wide,
the larger MLP consists of K² copies of the smaller one: each copy mixes the tokens of one of the
K x K tiles of the image.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from mixer_tf.checkpoints.lazy_arrays import LazyArrays, Source, rearrange

Grid = tuple[int, int]  # rows and columns of patches
Changes = dict[str, Callable[[np.ndarray], np.ndarray]]

_TOKEN_MIXING = re.compile(r"MixerBlock_\d+/token_mixing/(Dense_[01]/(?:kernel|bias))")


def block_diagonal(arrays: LazyArrays, grid: Grid, factor: int) -> LazyArrays:
    """Returns the weights for images `factor` times as high and wide.

    For any image, the logits of the larger network are the mean of the smaller network's logits
    for the tiles; if all tiles are the same image, they equal the logits for that image exactly.

    Args:
        arrays: weights under the names of a Flax checkpoint; only token-mixing weights change.
        grid: rows and columns of patches that the weights are for.
        factor: K, at least 1.
    """
    tokens = _tokens_of_tiles(grid, factor)  # [K², S]
    num_tiles, num_tokens = tokens.shape

    def kernel_in(kernel):  # [S, D] -> [K²·S, K²·D]
        width = kernel.shape[1]
        large = np.zeros((num_tiles * num_tokens, num_tiles * width), kernel.dtype)
        for tile in range(num_tiles):
            large[tokens[tile], tile * width : (tile + 1) * width] = kernel
        return large

    def bias_out(bias):  # [S] -> [K²·S]
        large = np.empty(num_tiles * num_tokens, bias.dtype)
        large[tokens] = bias
        return large

    changes = {
        "Dense_0/kernel": kernel_in,
        "Dense_0/bias": lambda bias: np.tile(bias, num_tiles),
        "Dense_1/kernel": lambda kernel: kernel_in(kernel.T).T,
        "Dense_1/bias": bias_out,
    }
    return _change_token_mixing(arrays, changes)


def _tokens_of_tiles(grid: Grid, factor: int) -> np.ndarray:
    """Returns the token indices of each tile in the row-major order of the whole image, [K², S].

    The tokens of a tile are not contiguous in that order; without these indices a copy of the MLP
    would mix patches of different tiles.
    """
    rows, columns = grid
    indices = np.arange(factor * rows * factor * columns).reshape(factor, rows, factor, columns)
    return indices.transpose(0, 2, 1, 3).reshape(factor**2, rows * columns)


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

    def resize(weights):  # [D, S] -> [D, S']
        import tensorflow as tf

        images = np.asarray(weights, np.float32).reshape(-1, *grid, 1)
        resized = tf.image.resize(images, new_grid, antialias=True)
        return resized.numpy().reshape(len(weights), -1)

    changes = {
        "Dense_0/kernel": lambda kernel: resize(kernel.T).T / np.float32(growth),
        "Dense_1/kernel": resize,
        "Dense_1/bias": lambda bias: resize(bias[np.newaxis])[0],
    }
    return _change_token_mixing(arrays, changes)


def _change_token_mixing(arrays: LazyArrays, changes: Changes) -> LazyArrays:
    def source(name: str) -> Source:
        match = _TOKEN_MIXING.fullmatch(name)
        return Source(name, changes.get(match[1], np.asarray)) if match else Source(name)

    return rearrange(arrays, {name: source(name) for name in arrays.shapes})
