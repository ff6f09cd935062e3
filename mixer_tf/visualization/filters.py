# SPDX-License-Identifier: Apache-2.0
"""Pictures of a Mixer's weights, as in the paper's Figures 4 to 6 and supplement. Only numpy.

A hidden unit of a token-mixing MLP has one weight for each patch of the image, so its input weights
are a picture of rows x columns of patches. A filter of the stem is a picture of P x P pixels.
"""

from __future__ import annotations

import math

import numpy as np

_SHOWN_SIDE = 56  # pixels that a small filter is enlarged to, at least nearly
_GAP = 4  # pixels between two filters
_WHITE = 255


def plot_token_mixing(kernel: np.ndarray, grid: tuple[int, int] | None = None) -> np.ndarray:
    """Draws the hidden units of a token-mixing MLP, the smoothest first, in pairs.

    Beside each unit stands the one that comes closest to its inverse, as the paper found them.
    Grey is a weight of 0; each unit has a scale of its own.

    Shape: [S, D_S] -> uint8 [height, width, 3].

    Args:
        kernel: of the first Dense layer. With G channel groups [G·S, D_S], whose parts are drawn
            side by side; of untied MLPs [columns, S, D_S], of which the first is drawn.
        grid: rows and columns of patches; None where they are as many.

    Raises:
        ValueError: the number of weights does not fit the grid.
    """
    filters = unit_filters(kernel, grid)
    pairs = side_by_side(enlarge(to_grey(filters[pair_order(filters)])))
    return tile(pairs, columns=math.ceil(math.sqrt(len(filters)) / 2))


def plot_stem(kernel: np.ndarray) -> np.ndarray:
    """Draws the filters of the stem in colour, the smoothest first.

    Shape: [P, P, 3, C] -> uint8 [height, width, 3].
    """
    filters = np.moveaxis(np.asarray(kernel, np.float64), -1, 0)  # [C, P, P, 3]
    order = np.argsort(roughness(filters), kind="stable")
    return tile(enlarge(to_grey(filters[order])), columns=math.ceil(math.sqrt(len(filters))))


def unit_filters(kernel: np.ndarray, grid: tuple[int, int] | None = None) -> np.ndarray:
    """Returns the input weights of each hidden unit as a picture; see `plot_token_mixing`.

    Shape: [S, D_S] -> [D_S, rows, columns]; [G·S, D_S] -> [D_S, rows, G·columns].
    """
    kernel = np.asarray(kernel, np.float64)
    kernel = kernel[0] if kernel.ndim == 3 else kernel
    inputs, units = kernel.shape
    rows, columns = grid or _square(inputs)
    groups, rest = divmod(inputs, rows * columns)
    if rest:
        raise ValueError(
            f"the weights of a unit must fit the grid of patches; got {inputs} weights for "
            f"{rows}x{columns} patches."
        )
    parts = kernel.T.reshape(units, groups, rows, columns)
    return parts.transpose(0, 2, 1, 3).reshape(units, rows, groups * columns)


def roughness(filters: np.ndarray) -> np.ndarray:
    """Returns how high the frequencies of each filter are, from 0 for a constant one.

    Squared differences of neighbours by squared values: the mean of the squared frequencies of the
    filter's cosine transform, each weighted by its energy. A filter of zeros counts as roughest.

    Shape: [N, rows, columns] or [N, rows, columns, 3] -> [N].
    """
    axes = tuple(range(1, filters.ndim))
    energy = np.sum(filters**2, axis=axes)
    differences = sum(np.sum(np.diff(filters, axis=axis) ** 2, axis=axes) for axis in (1, 2))
    return np.divide(differences, energy, out=np.full(len(filters), np.inf), where=energy > 0)


def pair_order(filters: np.ndarray) -> np.ndarray:
    """Returns the order of filters in which each is followed by its closest inverse.

    Of the filters that are left, the smoothest comes next, and after it the one whose direction is
    most nearly opposite. The scale of a filter does not matter.

    Shape: [N, rows, columns] -> N indices.
    """
    # Deviation: the paper says that pairs are sorted "by filter frequency", and not how that and
    # the closest inverse were measured.
    likeness = _cosines(filters)
    left = list(np.argsort(roughness(filters), kind="stable"))
    order = []
    while left:
        unit = left.pop(0)
        order.append(unit)
        if left:
            order.append(left.pop(int(np.argmin(likeness[unit, left]))))
    return np.array(order, dtype=int)


def to_grey(filters: np.ndarray) -> np.ndarray:
    """Returns bytes in which 0 is grey and the largest weight of each filter is black or white.

    Shape: [N, ...] -> uint8 [N, ...].
    """
    largest = np.max(np.abs(filters), axis=tuple(range(1, filters.ndim)), keepdims=True)
    scaled = np.divide(filters, largest, out=np.zeros_like(filters), where=largest > 0)
    return np.round(127.5 + 127.5 * scaled).astype(np.uint8)


def enlarge(pictures: np.ndarray) -> np.ndarray:
    """Repeats the pixels of small pictures by a whole number, the same for all.

    Shape: [N, h, w, ...] -> [N, k·h, k·w, ...].
    """
    factor = max(1, _SHOWN_SIDE // pictures.shape[1])
    return pictures.repeat(factor, axis=1).repeat(factor, axis=2)


def side_by_side(pictures: np.ndarray) -> np.ndarray:
    """Makes one picture of each two, with a thin white line between them.

    Shape: uint8 [N, h, w] -> uint8 [⌈N/2⌉, h, 2·w + 1]; an odd one out stands beside white.
    """
    blank = np.full_like(pictures[: len(pictures) % 2], _WHITE)
    pairs = np.concatenate([pictures, blank])
    line = np.full((len(pairs) // 2, pictures.shape[1], 1), _WHITE, np.uint8)
    return np.concatenate([pairs[::2], line, pairs[1::2]], axis=2)


def tile(pictures: np.ndarray, columns: int) -> np.ndarray:
    """Lays pictures out in rows on white, like words on a page.

    Shape: uint8 [N, h, w] or [N, h, w, 3] -> uint8 [height, width, 3].
    """
    if pictures.ndim == 3:
        pictures = np.repeat(pictures[..., None], 3, axis=-1)
    count, height, width, _ = pictures.shape
    rows = math.ceil(count / columns)
    page = np.full(
        (rows * (height + _GAP) + _GAP, columns * (width + _GAP) + _GAP, 3), _WHITE, np.uint8
    )
    for index, picture in enumerate(pictures):
        top = _GAP + index // columns * (height + _GAP)
        left = _GAP + index % columns * (width + _GAP)
        page[top : top + height, left : left + width] = picture
    return page


def _cosines(filters: np.ndarray) -> np.ndarray:
    """The cosine of each filter with each other; 0 for a filter of zeros."""
    flat = filters.reshape(len(filters), -1)
    norms = np.linalg.norm(flat, axis=1, keepdims=True)
    directions = np.divide(flat, norms, out=np.zeros_like(flat), where=norms > 0)
    return directions @ directions.T


def _square(inputs: int) -> tuple[int, int]:
    side = math.isqrt(inputs)
    if side * side != inputs:
        raise ValueError(
            f"{inputs} weights of a unit make no square; give rows and columns of patches."
        )
    return side, side
