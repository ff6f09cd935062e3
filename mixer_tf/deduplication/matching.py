# SPDX-License-Identifier: Apache-2.0
"""Finds the copies of images in a gallery: descriptors propose, an alignment decides."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from mixer_tf.deduplication.alignment import correlate
from mixer_tf.deduplication.candidates import Pairs, concatenate, find_candidates, thresholds
from mixer_tf.deduplication.fingerprints import Fingerprints, ImageId

EXACT, COPY, MIRRORED = "exact copy", "near-duplicate", "mirrored near-duplicate"

# An alignment takes 300 kB while it lasts.
_ALIGNED_AT_ONCE = 64


@dataclasses.dataclass(frozen=True)
class Match:
    """An image and a copy of it in a gallery.

    Attributes:
        image: the image that was looked for.
        other: the image of the gallery.
        distance: 1 - similarity: 0 for equal bytes, at most 1 - `thresholds.DUPLICATE`.
        reason: `EXACT`, `COPY` or `MIRRORED`.
    """

    image: ImageId
    other: ImageId
    distance: float
    reason: str


def find_matches(
    queries: Fingerprints, gallery: Fingerprints, indices: np.ndarray | None = None
) -> Iterator[Match]:
    """Yields every copy of the queries that the gallery holds; each pair of images once.

    Args:
        queries: the images to look for.
        gallery: the images to look among.
        indices: where the queries themselves lie in the gallery, int [N]; then each is compared
            with the images before it only. None where they are no part of it.
    """
    exact = _exact(queries, gallery)
    if indices is not None:
        exact = exact.where(exact.columns < indices[exact.rows])
    pairs = _best_of_each(concatenate([exact, _alike(queries, gallery, indices)]))
    columns = (pairs.rows, pairs.columns, pairs.mirrored, pairs.similarity)
    for row, column, mirrored, similarity in zip(*map(np.ndarray.tolist, columns), strict=True):
        is_exact = queries.digests[row] == gallery.digests[column]
        reason = EXACT if is_exact else MIRRORED if mirrored else COPY
        distance = round(max(0.0, 1 - similarity), 4)
        yield Match(queries.ids[row], gallery.ids[column], distance, reason)


def _exact(queries: Fingerprints, gallery: Fingerprints) -> Pairs:
    """The pairs with equal bytes."""
    shared = set(queries.digests).intersection(gallery.digests)
    columns = {digest: [] for digest in shared}
    for column, digest in enumerate(gallery.digests if shared else ()):
        if digest in shared:
            columns[digest].append(column)
    pairs = [
        (row, column)
        for row, digest in enumerate(queries.digests)
        for column in columns.get(digest, ())
    ]
    rows, columns = np.array(pairs, np.int64).reshape(-1, 2).T
    return Pairs(rows, columns, np.zeros(len(rows), bool), np.ones(len(rows), np.float32))


def _alike(queries: Fingerprints, gallery: Fingerprints, indices: np.ndarray | None) -> Pairs:
    """The pairs whose mean of cosine and correlation is as high as their images require."""
    pairs = find_candidates(queries, gallery, indices)
    similarity = (pairs.similarity + _correlate(pairs, queries, gallery)) / 2
    pairs = dataclasses.replace(pairs, similarity=similarity)
    return pairs.where(similarity >= thresholds(queries, pairs.rows, gallery, pairs.columns))


def _correlate(pairs: Pairs, queries: Fingerprints, gallery: Fingerprints) -> np.ndarray:
    """How well the details of each pair agree, float32 [N]."""
    correlations = np.zeros(len(pairs), np.float32)
    for start in range(0, len(pairs), _ALIGNED_AT_ONCE):
        some = pairs.where(slice(start, start + _ALIGNED_AT_ONCE))
        first = gallery.thumbnails[some.columns, :, :, 0]
        second = queries.thumbnails[some.rows, :, :, 0]
        second = np.where(some.mirrored[:, None, None], second[:, :, ::-1], second)
        correlations[start : start + len(some)] = correlate(first, second)
    return correlations


def _best_of_each(pairs: Pairs) -> Pairs:
    """Each pair of images once, as alike as it can be, by row and column."""
    order = np.lexsort((pairs.mirrored, -pairs.similarity, pairs.columns, pairs.rows))
    pairs = pairs.where(order)
    is_first = np.ones(len(pairs), bool)
    is_first[1:] = (np.diff(pairs.rows) != 0) | (np.diff(pairs.columns) != 0)
    return pairs.where(is_first)
