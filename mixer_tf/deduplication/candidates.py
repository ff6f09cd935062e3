# SPDX-License-Identifier: Apache-2.0
"""Proposes pairs of images that may be copies: all against all, by their descriptors alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from mixer_tf.deduplication import descriptor
from mixer_tf.deduplication.fingerprints import Fingerprints
from mixer_tf.deduplication.thresholds import GRAYSCALE_DUPLICATE

# Rows of the gallery that one matrix product takes: a few megabytes.
_BLOCK = 8192
# Of each image and orientation, the best so many of a block are proposed.
_MOST = 16


@dataclasses.dataclass(frozen=True)
class Pairs:
    """N pairs of a query and an image of the gallery, as parallel arrays.

    Attributes:
        rows: int [N], indices among the queries.
        columns: int [N], indices in the gallery.
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
        """The chosen pairs, by a mask or by indices."""
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


def thresholds(
    queries: Fingerprints, rows: np.ndarray, gallery: Fingerprints, columns: np.ndarray
) -> np.ndarray:
    """How alike the pairs of indices [N] and [N] must be: float32 [N].

    It is what the stricter of the two images asks, and more where colours cannot be compared.
    """
    least = np.maximum(queries.thresholds[rows], gallery.thresholds[columns])
    one_is_grey = queries.grey[rows] != gallery.grey[columns]
    return np.where(one_is_grey, np.maximum(least, GRAYSCALE_DUPLICATE), least)


def find_candidates(
    queries: Fingerprints, gallery: Fingerprints, indices: np.ndarray | None = None
) -> Pairs:
    """Returns the pairs that may be copies, with their cosine as similarity; some come twice.

    The similarity that decides is the mean of cosine and correlation, and no correlation exceeds
    1: so what is missing here is no copy. Where one image is grey, colour is not compared.

    Args:
        queries: the images to look for.
        gallery: the images to look among.
        indices: as in `matching.find_matches`: only what lies before these is proposed.
    """
    rows, columns = np.arange(len(queries)), np.arange(len(gallery))
    grey, other_grey = queries.grey, gallery.grey
    found = [
        *_search(queries, gallery, rows, columns, _all_channels),
        *_search(queries, gallery, rows[grey], columns[~other_grey], descriptor.luma),
        *_search(queries, gallery, rows[~grey], columns[other_grey], descriptor.luma),
    ]
    if indices is not None:
        found = [pairs.where(pairs.columns < indices[pairs.rows]) for pairs in found]
    return concatenate(map(_best_of_each_row, found))


def _search(
    queries: Fingerprints,
    gallery: Fingerprints,
    rows: np.ndarray,
    columns: np.ndarray,
    part: Callable[[np.ndarray], np.ndarray],
) -> Iterator[Pairs]:
    """Compares some queries with some of the gallery by a part of the descriptor."""
    if not len(rows):
        return
    for start in range(0, len(columns), _BLOCK):
        block = columns[start : start + _BLOCK]
        second = part(gallery.descriptors[block])
        for mirrored in (False, True):
            first = queries.descriptors[rows]
            first = part(descriptor.mirror(first) if mirrored else first)
            cosines = descriptor.cosine(first, second)
            # Few pairs pass the lowest bar of all, so that only for them their own is looked up.
            bar = np.maximum(queries.thresholds[rows].min(), gallery.thresholds[block].min())
            row, column = np.nonzero(cosines >= 2 * bar - 1)
            pairs = Pairs(
                rows[row], block[column], np.full(len(row), mirrored), cosines[row, column]
            )
            own_bar = thresholds(queries, pairs.rows, gallery, pairs.columns)
            yield pairs.where(pairs.similarity >= 2 * own_bar - 1)


def _best_of_each_row(pairs: Pairs) -> Pairs:
    """At most `_MOST` pairs of each row, those with the highest cosine, ordered by row."""
    pairs = pairs.where(np.lexsort((-pairs.similarity, pairs.rows)))
    rank = np.arange(len(pairs)) - np.searchsorted(pairs.rows, pairs.rows)
    return pairs.where(rank < _MOST)


def _all_channels(descriptors: np.ndarray) -> np.ndarray:
    return descriptors
