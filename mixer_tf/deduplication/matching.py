# SPDX-License-Identifier: Apache-2.0
"""Finds duplicates of images in a gallery: candidates by descriptors, decided by alignment."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from mixer_tf.deduplication.alignment import correlate
from mixer_tf.deduplication.candidates import Pairs, concatenate, find_candidates, pair_thresholds
from mixer_tf.deduplication.fingerprints import Fingerprints, ImageId

EXACT, COPY, MIRRORED = "exact copy", "near-duplicate", "mirrored near-duplicate"

# Aligning one pair takes 300 kB of memory.
_ALIGNMENT_BATCH = 64


@dataclasses.dataclass(frozen=True)
class Match:
    """An image and a duplicate of it in a gallery.

    Attributes:
        image: the query.
        other: the image of the gallery.
        distance: 1 - similarity: 0 for equal bytes, at most 1 - threshold.
        reason: `EXACT`, `COPY` or `MIRRORED`.
    """

    image: ImageId
    other: ImageId
    distance: float
    reason: str


def find_matches(
    queries: Fingerprints, gallery: Fingerprints, indices: np.ndarray | None = None
) -> Iterator[Match]:
    """Yields all duplicates of the queries in the gallery, each pair of images once.

    Args:
        queries: the images whose duplicates are searched.
        gallery: the images that may be their duplicates.
        indices: int [N], indices of the queries in the gallery if it contains them; then each is
            compared only with earlier images. None if it does not contain them.
    """
    exact = _exact(queries, gallery)
    if indices is not None:
        exact = exact.select(exact.columns < indices[exact.rows])
    pairs = _best_of_each(concatenate([exact, _near(queries, gallery, indices)]))
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


def _near(queries: Fingerprints, gallery: Fingerprints, indices: np.ndarray | None) -> Pairs:
    """The pairs whose mean of cosine and correlation reaches their threshold."""
    pairs = find_candidates(queries, gallery, indices)
    similarity = (pairs.similarity + _correlate(pairs, queries, gallery)) / 2
    pairs = dataclasses.replace(pairs, similarity=similarity)
    return pairs.select(similarity >= pair_thresholds(queries, pairs.rows, gallery, pairs.columns))


def _correlate(pairs: Pairs, queries: Fingerprints, gallery: Fingerprints) -> np.ndarray:
    """The correlation of the details of each pair, float32 [N]."""
    correlations = np.zeros(len(pairs), np.float32)
    for start in range(0, len(pairs), _ALIGNMENT_BATCH):
        batch = pairs.select(slice(start, start + _ALIGNMENT_BATCH))
        first = gallery.thumbnails[batch.columns, :, :, 0]
        second = queries.thumbnails[batch.rows, :, :, 0]
        second = np.where(batch.mirrored[:, None, None], second[:, :, ::-1], second)
        correlations[start : start + len(batch)] = correlate(first, second)
    return correlations


def _best_of_each(pairs: Pairs) -> Pairs:
    """Each pair of images once, with its highest similarity, sorted by row and column."""
    order = np.lexsort((pairs.mirrored, -pairs.similarity, pairs.columns, pairs.rows))
    pairs = pairs.select(order)
    is_first = np.ones(len(pairs), bool)
    is_first[1:] = (np.diff(pairs.rows) != 0) | (np.diff(pairs.columns) != 0)
    return pairs.select(is_first)
