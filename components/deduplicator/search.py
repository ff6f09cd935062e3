# SPDX-License-Identifier: Apache-2.0
"""Proposes pairs of images that may be copies: all against all, by their descriptors alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from components.deduplicator import descriptor
from components.deduplicator.fingerprints import Fingerprints
from components.deduplicator.rules import ALIKE_WITHOUT_COLOUR

# Rows of the gallery that one matrix product takes: a few megabytes.
_BLOCK = 8192
# Of each image and orientation, the best so many of a block are proposed.
_MOST = 16


@dataclasses.dataclass(frozen=True)
class Pairs:
    """N pairs of a query and an image of the gallery, as parallel arrays.

    Attributes:
        rows: int [N], places among the queries.
        columns: int [N], places in the gallery.
        mirrored: bool [N], whether one is compared with the mirror image of the other.
        similarity: float32 [N].
    """

    rows: np.ndarray
    columns: np.ndarray
    mirrored: np.ndarray
    similarity: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def where(self, chosen: np.ndarray) -> Pairs:
        """The chosen pairs, by a mask or by places."""
        return Pairs(
            self.rows[chosen], self.columns[chosen], self.mirrored[chosen], self.similarity[chosen]
        )


def concatenate(parts: Iterable[Pairs]) -> Pairs:
    """Puts pairs together, in the order in which they come."""
    parts = list(parts)
    return Pairs(
        np.concatenate([np.zeros(0, np.int64), *(part.rows for part in parts)]),
        np.concatenate([np.zeros(0, np.int64), *(part.columns for part in parts)]),
        np.concatenate([np.zeros(0, bool), *(part.mirrored for part in parts)]),
        np.concatenate([np.zeros(0, np.float32), *(part.similarity for part in parts)]),
    )


def required(
    queries: Fingerprints, rows: np.ndarray, gallery: Fingerprints, columns: np.ndarray
) -> np.ndarray:
    """How alike pairs must be: what the stricter of the two images asks, and more without colour.

    `rows` and `columns` are places [N], or [N, 1] and [M] for all pairs; the result has the shape
    that they have together.
    """
    least = np.maximum(queries.required[rows], gallery.required[columns])
    one_is_grey = queries.grey[rows] != gallery.grey[columns]
    return np.where(one_is_grey, np.maximum(least, ALIKE_WITHOUT_COLOUR), least)


def propose(queries: Fingerprints, gallery: Fingerprints) -> Pairs:
    """Returns the pairs that may be copies, with their cosine as similarity; some come twice.

    The similarity that decides is the mean of cosine and correlation, and no correlation exceeds
    1: so what is missing here is no copy. Where one image is grey, colour is not compared.
    """
    rows, columns = np.arange(len(queries)), np.arange(len(gallery))
    grey, other_grey = queries.grey, gallery.grey
    return concatenate(
        [
            *_search(queries, gallery, rows, columns, _all_channels),
            *_search(queries, gallery, rows[grey], columns[~other_grey], descriptor.luma),
            *_search(queries, gallery, rows[~grey], columns[other_grey], descriptor.luma),
        ]
    )


def _search(
    queries: Fingerprints,
    gallery: Fingerprints,
    rows: np.ndarray,
    columns: np.ndarray,
    part: Callable[[np.ndarray], np.ndarray],
) -> Iterator[Pairs]:
    """Compares some queries with some of the gallery by a part of the descriptor."""
    for start in range(0, len(columns), _BLOCK):
        block = columns[start : start + _BLOCK]
        second = part(gallery.descriptors[block])
        lowest = 2 * required(queries, rows[:, None], gallery, block) - 1
        for mirrored in (False, True):
            first = queries.descriptors[rows]
            first = part(descriptor.mirror(first) if mirrored else first)
            cosines = descriptor.cosine(first, second)
            row, column = _choose(cosines, cosines >= lowest)
            orientation = np.full(len(row), mirrored)
            yield Pairs(rows[row], block[column], orientation, cosines[row, column])


def _choose(cosines: np.ndarray, possible: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the possible pairs; of a row with very many, the best of them."""
    for row in np.flatnonzero(possible.sum(1) > _MOST):
        ranked = np.argsort(np.where(possible[row], -cosines[row], 2), kind="stable")
        possible[row, ranked[_MOST:]] = False
    return np.nonzero(possible)


def _all_channels(descriptors: np.ndarray) -> np.ndarray:
    return descriptors
