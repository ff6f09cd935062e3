# SPDX-License-Identifier: Apache-2.0
"""Higher resolution (paper, supplement C): the weights of a Mixer for more patches per image.

Only the token-mixing MLPs know how many patches there are. For images K times as high and wide,
the larger MLP is K² copies of the smaller one, each at work on one of the K x K parts of the image.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from mixer_tf.checkpoints.lazy_arrays import LazyArrays, Source, rearrange

Grid = tuple[int, int]  # rows and columns of patches
Changes = dict[str, Callable[[np.ndarray], np.ndarray]]

_TOKEN_MIXING = re.compile(r"MixerBlock_\d+/token_mixing/(Dense_[01]/(?:kernel|bias))")


def block_diagonal(stored: LazyArrays, grid: Grid, factor: int) -> LazyArrays:
    """Returns the weights for images `factor` times as high and wide; all others are unchanged.

    The network then answers, for any image, the mean of what it answered for its parts, and
    for an image that is repeated in all parts, exactly what it answered for the one.

    Args:
        stored: weights by the authors' names.
        grid: rows and columns of patches that they are for.
        factor: K, at least 1.
    """
    tokens = _tokens_of_parts(grid, factor)  # [K², S]
    parts, num_tokens = tokens.shape

    def kernel_in(kernel):  # [S, D] -> [K²·S, K²·D]
        width = kernel.shape[1]
        wide = np.zeros((parts * num_tokens, parts * width), kernel.dtype)
        for part in range(parts):
            wide[tokens[part], part * width : (part + 1) * width] = kernel
        return wide

    def bias_out(bias):  # [S] -> [K²·S]
        wide = np.empty(parts * num_tokens, bias.dtype)
        wide[tokens] = bias
        return wide

    changes = {
        "Dense_0/kernel": kernel_in,
        "Dense_0/bias": lambda bias: np.tile(bias, parts),
        "Dense_1/kernel": lambda kernel: kernel_in(kernel.T).T,
        "Dense_1/bias": bias_out,
    }
    return _change_token_mixing(stored, changes)


def _tokens_of_parts(grid: Grid, factor: int) -> np.ndarray:
    """Returns [K², S]: the numbers, row by row in the whole image, of each part's patches.

    A large grid is not stored part by part; without this order the copies would mix patches of
    different parts.
    """
    rows, columns = grid
    numbers = np.arange(factor * rows * factor * columns).reshape(factor, rows, factor, columns)
    return numbers.transpose(0, 2, 1, 3).reshape(factor**2, rows * columns)


def interpolate(stored: LazyArrays, grid: Grid, new_grid: Grid) -> LazyArrays:
    """Returns the weights for a grid of any other size; the hidden width stays as it is.

    # Deviation: the paper has whole multiples only. Here what a hidden unit reads from the patches,
    # and what it writes to them, is a picture on the grid, which is resized bilinearly; what it
    # reads is divided by the growth in number, so that a plain image excites it as before.
    """
    growth = (new_grid[0] * new_grid[1]) / (grid[0] * grid[1])

    def pictures(weights):  # [D, S] -> [D, S']
        import tensorflow as tf

        pictures = np.asarray(weights, np.float32).reshape(-1, *grid, 1)
        resized = tf.image.resize(pictures, new_grid, antialias=True)
        return resized.numpy().reshape(len(weights), -1)

    changes = {
        "Dense_0/kernel": lambda kernel: pictures(kernel.T).T / np.float32(growth),
        "Dense_1/kernel": pictures,
        "Dense_1/bias": lambda bias: pictures(bias[np.newaxis])[0],
    }
    return _change_token_mixing(stored, changes)


def _change_token_mixing(stored: LazyArrays, changes: Changes) -> LazyArrays:
    def source(name: str) -> Source:
        match = _TOKEN_MIXING.fullmatch(name)
        return Source(name, changes.get(match[1], np.asarray)) if match else Source(name)

    return rearrange(stored, {name: source(name) for name in stored.shapes})
