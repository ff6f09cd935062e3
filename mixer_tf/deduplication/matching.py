# SPDX-License-Identifier: Apache-2.0
"""Finds duplicates of images in a gallery: candidates by descriptors, decided by their details."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from mixer_tf.deduplication import candidates, coarse_correlation, similarity
from mixer_tf.deduplication.candidates import Pairs, concatenate, find_candidates, make_pairs
from mixer_tf.deduplication.fingerprints import Fingerprints, ImageId
from mixer_tf.deduplication.thresholds import GRAYSCALE_DUPLICATE

EXACT, COPY = "exact copy", "near-duplicate"
MIRRORED, TURNED = "mirrored near-duplicate", "turned near-duplicate"
_REASONS = {candidates.UPRIGHT: COPY, candidates.MIRRORED: MIRRORED}


@dataclasses.dataclass(frozen=True)
class Match:
    """An image and a duplicate of it in a gallery.

    Attributes:
        image: the query.
        other: the image of the gallery.
        distance: 1 - similarity: 0 for equal bytes, at most 1 - threshold.
        reason: `EXACT`, `COPY`, `MIRRORED` or `TURNED`.
    """

    image: ImageId
    other: ImageId
    distance: float
    reason: str


def find_matches(
    queries: Fingerprints, gallery: Fingerprints, indices: np.ndarray | None = None
) -> Iterator[Match]:
    """Yields the duplicates of the queries in the gallery, each pair of images once.

    Images of the gallery with equal bytes are represented by at most three of them for each set;
    see `EqualImages.representatives`. So the number of matches grows with the number of queries,
    not with the number of pairs.

    Args:
        queries: the images whose duplicates are searched.
        gallery: the images that may be their duplicates.
        indices: int [N], indices of the queries in the gallery if it contains them; then each is
            compared only with earlier images. None if it does not contain them.
    """
    limits = np.full(len(queries), len(gallery)) if indices is None else indices
    pairs = concatenate([_exact(queries, gallery, limits), _near(queries, gallery, indices)])
    pairs = _best_of_each(pairs)
    columns = (pairs.rows, pairs.columns, pairs.orientations, pairs.similarity)
    for row, first, orientation, value in zip(*map(np.ndarray.tolist, columns), strict=True):
        is_exact = queries.digests[row] == gallery.digests[first]
        reason = EXACT if is_exact else _REASONS.get(orientation, TURNED)
        distance = round(max(0.0, 1 - value), 4)
        class_name = queries.ids[row].class_name
        for column in gallery.equal_images.representatives(first, class_name):
            if column < limits[row]:
                yield Match(queries.ids[row], gallery.ids[column], distance, reason)


def _exact(queries: Fingerprints, gallery: Fingerprints, limits: np.ndarray) -> Pairs:
    """The pairs of a query and the first image of a group with its bytes, if below its limit."""
    by_digest = gallery.equal_images.by_digest
    pairs = [
        (row, first)
        for row, digest in enumerate(queries.digests)
        for first in by_digest.get(digest, ())
        if first < limits[row]
    ]
    rows, columns = np.array(pairs, np.int64).reshape(-1, 2).T
    return make_pairs(rows, columns, np.ones(len(rows)))


def _near(queries: Fingerprints, gallery: Fingerprints, indices: np.ndarray | None) -> Pairs:
    """The pairs of different bytes whose similarity reaches their threshold."""
    pairs = _without_exact(find_candidates(queries, gallery, indices), queries, gallery)
    pairs = coarse_correlation.keep_plausible(pairs, queries, gallery)
    pairs = similarity.judge(pairs, queries, gallery)
    least = _thresholds(queries, pairs.rows, gallery, pairs.columns)
    return pairs.select(pairs.similarity >= least)


def _without_exact(pairs: Pairs, queries: Fingerprints, gallery: Fingerprints) -> Pairs:
    indices = zip(pairs.rows.tolist(), pairs.columns.tolist(), strict=True)
    differ = [queries.digests[row] != gallery.digests[column] for row, column in indices]
    return pairs.select(np.array(differ, bool))


def _best_of_each(pairs: Pairs) -> Pairs:
    """Each pair of images once, with its highest similarity, sorted by row and column."""
    order = np.lexsort((pairs.orientations, -pairs.similarity, pairs.columns, pairs.rows))
    pairs = pairs.select(order)
    is_first = np.ones(len(pairs), bool)
    is_first[1:] = (np.diff(pairs.rows) != 0) | (np.diff(pairs.columns) != 0)
    return pairs.select(is_first)


def _thresholds(
    queries: Fingerprints, rows: np.ndarray, gallery: Fingerprints, columns: np.ndarray
) -> np.ndarray:
    """The thresholds of pairs: the higher one of both images, and a high one if one is gray."""
    least = np.maximum(queries.thresholds[rows], gallery.thresholds[columns])
    one_is_gray = queries.gray[rows] != gallery.gray[columns]
    return np.where(one_is_gray, np.maximum(least, GRAYSCALE_DUPLICATE), least)
