# SPDX-License-Identifier: Apache-2.0
"""Plots a Mixer's filters, as in the paper's Figures 4 to 6 and its supplement. Only numpy.

A hidden unit of a token-mixing MLP has one input weight for each patch of the image, so its filter
is rows x columns of patches. A filter of the stem is P x P pixels.
"""

from __future__ import annotations

import math

import numpy as np

_PLOT_SIDE = 56  # pixels; a smaller filter is enlarged to at most this height
_GAP = 4  # pixels between two filters
_WHITE = 255


def plot_token_mixing(kernel: np.ndarray, grid: tuple[int, int] | None = None) -> np.ndarray:
    """Plots the filters of a token-mixing MLP's hidden units in pairs, the smoothest first.

    The second filter of a pair is the closest to the inverse of the first; the paper describes such
    pairs. A weight of 0 is gray, and each filter is scaled by its largest weight.

    Shape: [S, D_S] -> uint8 [height, width, 3].

    Args:
        kernel: kernel of the first Dense layer. With G channel groups [G·S, D_S], the groups are
            plotted side by side; with untied MLPs [MLPs, S, D_S], the first MLP is plotted.
        grid: rows and columns of patches; None for a square grid.

    Raises:
        ValueError: the number of weights does not fit the grid.
    """
    filters = unit_filters(kernel, grid)
    return plot_pairs(filters, pair_order(filters))


def plot_pairs(filters: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Plots filters side by side in pairs, in an order as of `pair_order`.

    Shape: [N, rows, columns], [N] -> uint8 [height, width, 3].
    """
    pairs = side_by_side(enlarge(to_gray(filters[order])))
    return tile(pairs, columns=math.ceil(math.sqrt(len(filters)) / 2))


def plot_stem(kernel: np.ndarray) -> np.ndarray:
    """Plots the filters of the stem in color, the smoothest first.

    Shape: [P, P, 3, C] -> uint8 [height, width, 3].
    """
    filters = color_filters(kernel)
    return plot_singles(filters, frequency_order(filters))


def plot_singles(filters: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Plots filters in an order as of `frequency_order`.

    Shape: [N, P, P, 3], [N] -> uint8 [height, width, 3].
    """
    return tile(enlarge(to_gray(filters[order])), columns=math.ceil(math.sqrt(len(filters))))


def color_filters(kernel: np.ndarray) -> np.ndarray:
    """Returns the filters of a convolution of pixels.

    Shape: [P, P, 3, C] -> [C, P, P, 3].
    """
    return np.moveaxis(np.asarray(kernel, np.float64), -1, 0)


def unit_filters(kernel: np.ndarray, grid: tuple[int, int] | None = None) -> np.ndarray:
    """Returns the input weights of each hidden unit as a filter; see `plot_token_mixing`.

    Shape: [S, D_S] -> [D_S, rows, columns]; [G·S, D_S] -> [D_S, rows, G·columns].
    """
    kernel = np.asarray(kernel, np.float64)
    kernel = kernel[0] if kernel.ndim == 3 else kernel
    inputs, units = kernel.shape
    rows, columns = grid or _square(inputs)
    groups, remainder = divmod(inputs, rows * columns)
    if remainder:
        raise ValueError(
            "the number of input weights must be a multiple of the number of patches; "
            f"got {inputs} weights for {rows}x{columns} patches. "
            "Give the grid of the model's own image size."
        )
    parts = kernel.T.reshape(units, groups, rows, columns)
    return parts.transpose(0, 2, 1, 3).reshape(units, rows, groups * columns)


def output_filters(kernel: np.ndarray, grid: tuple[int, int] | None = None) -> np.ndarray:
    """Returns the output weights of each hidden unit as a filter: what it adds to which patch.

    Shape: [D_S, S] -> [D_S, rows, columns]; otherwise as `unit_filters`.

    Args:
        kernel: kernel of the second Dense layer of a token-mixing MLP.
        grid: see `plot_token_mixing`.
    """
    return unit_filters(np.swapaxes(kernel, -1, -2), grid)


def position_filters(
    embeddings: np.ndarray, grid: tuple[int, int] | None = None, *, has_class_token: bool = True
) -> np.ndarray:
    """Returns each channel of a ViT's position embeddings as a filter.

    Shape: [1, 1 + S, C], or without a class token [1, S, C] -> [C, rows, columns].

    Args:
        embeddings: position embeddings of the class token, which is left out, and of all patches.
        grid: see `plot_token_mixing`.
        has_class_token: whether the first embedding is that of a class token.
    """
    return unit_filters(np.asarray(embeddings)[0, int(has_class_token) :], grid)


def frequency_order(filters: np.ndarray) -> np.ndarray:
    """Returns the indices of the filters, the smoothest first; see `roughness`."""
    return np.argsort(roughness(filters), kind="stable")


def roughness(filters: np.ndarray) -> np.ndarray:
    """Returns the mean squared frequency of each filter; 0 for a constant filter.

    Computed as the sum of squared differences between neighbors divided by the sum of squared
    values. This is the mean of the squared frequencies of the filter's cosine transform, weighted
    by energy. A filter of zeros gets infinity.

    Shape: [N, rows, columns] or [N, rows, columns, 3] -> [N].
    """
    axes = tuple(range(1, filters.ndim))
    energy = np.sum(filters**2, axis=axes)
    differences = sum(np.sum(np.diff(filters, axis=axis) ** 2, axis=axes) for axis in (1, 2))
    return np.divide(differences, energy, out=np.full(len(filters), np.inf), where=energy > 0)


def pair_order(filters: np.ndarray) -> np.ndarray:
    """Returns an order of the filters in which each is followed by its closest inverse.

    Repeatedly takes the smoothest remaining filter, and then the remaining filter with the lowest
    cosine similarity to it. The scale of a filter does not matter.

    Shape: [N, rows, columns] -> N indices.
    """
    # Deviation: the paper says that pairs are sorted "by filter frequency", but not how the
    # frequency and the closest inverse were measured.
    similarity = _cosine_similarity(filters)
    remaining = list(frequency_order(filters))
    order = []
    while remaining:
        unit = remaining.pop(0)
        order.append(unit)
        if remaining:
            order.append(remaining.pop(int(np.argmin(similarity[unit, remaining]))))
    return np.array(order, dtype=int)


def pair_similarities(filters: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Returns the cosine similarity of the two filters of each pair; -1 for exact inverses.

    Shape: [N, rows, columns], [N] -> [⌊N/2⌋].
    """
    similarity = _cosine_similarity(filters)
    pairs = order[: len(order) // 2 * 2].reshape(-1, 2)
    return similarity[pairs[:, 0], pairs[:, 1]]


def shuffled(filters: np.ndarray, seed: int = 0) -> np.ndarray:
    """Returns filters of the same weights in a random order, one of its own for each filter.

    They are what pairs are compared with that are found by chance.
    """
    flat = filters.reshape(len(filters), -1)
    return np.random.default_rng(seed).permuted(flat, axis=1).reshape(filters.shape)


def to_gray(filters: np.ndarray) -> np.ndarray:
    """Returns pixels in which 0 is gray and each filter's largest weight is black or white.

    Shape: [N, ...] -> uint8 [N, ...].
    """
    largest = np.max(np.abs(filters), axis=tuple(range(1, filters.ndim)), keepdims=True)
    scaled = np.divide(filters, largest, out=np.zeros_like(filters), where=largest > 0)
    return np.round(127.5 + 127.5 * scaled).astype(np.uint8)


def enlarge(images: np.ndarray) -> np.ndarray:
    """Enlarges small images by an integer factor.

    Shape: [N, h, w, ...] -> [N, k·h, k·w, ...].
    """
    factor = max(1, _PLOT_SIDE // images.shape[1])
    return images.repeat(factor, axis=1).repeat(factor, axis=2)


def side_by_side(images: np.ndarray) -> np.ndarray:
    """Joins each two images into one, with a thin white line between them.

    Shape: uint8 [N, h, w] -> uint8 [⌈N/2⌉, h, 2·w + 1]; if N is odd, the last image is joined with
    a white one.
    """
    blank = np.full_like(images[: len(images) % 2], _WHITE)
    pairs = np.concatenate([images, blank])
    line = np.full((len(pairs) // 2, images.shape[1], 1), _WHITE, np.uint8)
    return np.concatenate([pairs[::2], line, pairs[1::2]], axis=2)


def tile(images: np.ndarray, columns: int) -> np.ndarray:
    """Arranges images row by row on a white background.

    Shape: uint8 [N, h, w] or [N, h, w, 3] -> uint8 [height, width, 3].
    """
    if images.ndim == 3:
        images = np.repeat(images[..., None], 3, axis=-1)
    count, height, width, _ = images.shape
    rows = math.ceil(count / columns)
    canvas = np.full(
        (rows * (height + _GAP) + _GAP, columns * (width + _GAP) + _GAP, 3), _WHITE, np.uint8
    )
    for index, image in enumerate(images):
        top = _GAP + index // columns * (height + _GAP)
        left = _GAP + index % columns * (width + _GAP)
        canvas[top : top + height, left : left + width] = image
    return canvas


def _cosine_similarity(filters: np.ndarray) -> np.ndarray:
    """Returns the cosine similarity of all filters, [N, N]; 0 for a filter of zeros."""
    flat = filters.reshape(len(filters), -1)
    norms = np.linalg.norm(flat, axis=1, keepdims=True)
    directions = np.divide(flat, norms, out=np.zeros_like(flat), where=norms > 0)
    return directions @ directions.T


def _square(inputs: int) -> tuple[int, int]:
    side = math.isqrt(inputs)
    if side * side != inputs:
        raise ValueError(
            f"the grid of patches must be square unless it is given; got {inputs} input weights. "
            "Give rows and columns of patches."
        )
    return side, side
