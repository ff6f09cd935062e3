# SPDX-License-Identifier: Apache-2.0
"""Finds pairs of images that may be duplicates: all against all, by their descriptors alone."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from mixer_tf.deduplication import descriptor
from mixer_tf.deduplication.fingerprints import Fingerprints
from mixer_tf.deduplication.thresholds import GRAYSCALE_DUPLICATE

# Number of images of the gallery in one matrix product: a few megabytes.
_BLOCK_SIZE = 8192
# Maximum number of candidates per query, orientation and block; the most similar are kept.
_MAX_CANDIDATES = 16


@dataclasses.dataclass(frozen=True)
class Pairs:
    """N pairs of a query and an image of the gallery, as parallel arrays.

    Attributes:
        rows: int [N], indices of the queries.
        columns: int [N], indices in the gallery.
        mirrored: bool [N], whether the query was mirrored for the comparison.
        similarity: float32 [N], similarity in [-1, 1].
    """

    rows: np.ndarray
    columns: np.ndarray
    mirrored: np.ndarray
    similarity: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def select(self, index: np.ndarray | slice) -> Pairs:
        """Returns the pairs that a mask, an array of indices or a slice selects."""
        return Pairs(
            self.rows[index], self.columns[index], self.mirrored[index], self.similarity[index]
        )


def concatenate(parts: Iterable[Pairs]) -> Pairs:
    """Concatenates pairs in the given order."""
    parts = list(parts)
    return Pairs(
        np.concatenate([np.zeros(0, np.int64), *(part.rows for part in parts)]),
        np.concatenate([np.zeros(0, np.int64), *(part.columns for part in parts)]),
        np.concatenate([np.zeros(0, bool), *(part.mirrored for part in parts)]),
        np.concatenate([np.zeros(0, np.float32), *(part.similarity for part in parts)]),
    )


def pair_thresholds(
    queries: Fingerprints, rows: np.ndarray, gallery: Fingerprints, columns: np.ndarray
) -> np.ndarray:
    """Returns the thresholds of pairs of images at the indices [N] and [N], float32 [N].

    This is the higher threshold of both images, and at least `GRAYSCALE_DUPLICATE` if only one of
    them is gray.
    """
    least = np.maximum(queries.thresholds[rows], gallery.thresholds[columns])
    one_is_gray = queries.gray[rows] != gallery.gray[columns]
    return np.where(one_is_gray, np.maximum(least, GRAYSCALE_DUPLICATE), least)


def find_candidates(
    queries: Fingerprints, gallery: Fingerprints, indices: np.ndarray | None = None
) -> Pairs:
    """Returns the pairs that may be duplicates, with their cosine as similarity.

    The final similarity is the mean of cosine and correlation, and a correlation is at most 1, so
    pairs with a lower cosine than these are not duplicates. If one image is gray, only luma is
    compared. Of images of the gallery with equal bytes, only the first of each set is compared. A
    pair may occur several times.

    Args:
        queries: the images whose duplicates are searched.
        gallery: the images that may be their duplicates.
        indices: as in `matching.find_matches`; only earlier images of the gallery are candidates.
    """
    rows, columns = np.arange(len(queries)), gallery.equal_images.firsts
    gray, other_gray = queries.gray, gallery.gray[columns]
    found = itertools.chain(
        _search(queries, gallery, rows, columns, _all_channels),
        _search(queries, gallery, rows[gray], columns[~other_gray], descriptor.luma),
        _search(queries, gallery, rows[~gray], columns[other_gray], descriptor.luma),
    )
    if indices is not None:
        found = (pairs.select(pairs.columns < indices[pairs.rows]) for pairs in found)
    return concatenate(map(_best_of_each_row, found))


def _search(
    queries: Fingerprints,
    gallery: Fingerprints,
    rows: np.ndarray,
    columns: np.ndarray,
    part: Callable[[np.ndarray], np.ndarray],
) -> Iterator[Pairs]:
    """Compares some queries with some images of the gallery by a part of the descriptor."""
    if not len(rows):
        return
    for start in range(0, len(columns), _BLOCK_SIZE):
        block = columns[start : start + _BLOCK_SIZE]
        second = part(gallery.descriptors[block])
        for mirrored in (False, True):
            first = queries.descriptors[rows]
            first = part(descriptor.mirror(first) if mirrored else first)
            cosines = descriptor.cosine(first, second)
            # Few pairs reach the lowest threshold of all; only for these, their own is computed.
            lowest = np.maximum(queries.thresholds[rows].min(), gallery.thresholds[block].min())
            row, column = np.nonzero(cosines >= 2 * lowest - 1)
            pairs = Pairs(
                rows[row], block[column], np.full(len(row), mirrored), cosines[row, column]
            )
            own = pair_thresholds(queries, pairs.rows, gallery, pairs.columns)
            yield pairs.select(pairs.similarity >= 2 * own - 1)


def _best_of_each_row(pairs: Pairs) -> Pairs:
    """The `_MAX_CANDIDATES` pairs of each row with the highest cosine, sorted by row."""
    pairs = pairs.select(np.lexsort((-pairs.similarity, pairs.rows)))
    rank = np.arange(len(pairs)) - np.searchsorted(pairs.rows, pairs.rows)
    return pairs.select(rank < _MAX_CANDIDATES)


def _all_channels(descriptors: np.ndarray) -> np.ndarray:
    return descriptors
