# SPDX-License-Identifier: Apache-2.0
"""The similarity of candidate pairs, from 0 to 1: how likely it is that they are copies.

It is the logistic function of a weighted sum of the numbers of `evidence.measure`. The weights were
fitted to pairs of CIFAR-10 images that people labeled, ciFAIR's list among them; nothing is fitted
to the user's images. Pairs whose pixels agree without any registration are nearly identical, and
their similarity is then the mean of cosine and correlation.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from mixer_tf.deduplication import evidence, views
from mixer_tf.deduplication.alignment import correlate
from mixer_tf.deduplication.candidates import TURNED_90, Pairs, concatenate, orient
from mixer_tf.deduplication.fingerprints import Fingerprints
from mixer_tf.deduplication.thresholds import NEAR_IDENTICAL

# In the order of `evidence.measure`: finest details, coarse details, chroma, correlation, cosine,
# logarithm of the variance of outlines.
_WEIGHTS = np.array([12.33, 6.85, 4.61, 8.50, 5.76, -0.814], np.float32)
_OFFSET = -19.08
# Pairs with a lower mean of cosine and correlation are no duplicates; registration costs more than
# the rest. Large images have views and small rotations, which lower both numbers.
_MIN_MEAN, _MIN_MEAN_OF_LARGE = 0.72, 0.58
# Rotations that are tried, in degrees, and the range of similarity of pairs that are worth it.
_ROTATIONS = (-4.5, -3.0, -1.5, 1.5, 3.0, 4.5)
_ROTATED_RANGE = (0.002, 0.75)
# Without a registration, a similarity is lower than that of nearly identical images.
_MAX_SIMILARITY = 0.995
# Pairs of documents and of nearly identical images, from this similarity on, need at least these
# correlations of the details of the stored thumbnails.
_MIN_DOUBTFUL = 0.2
_MIN_DETAILS, _MIN_DETAILS_OF_IDENTICAL = 0.8, 0.93
# One pair takes 300 kB of memory.
_BATCH_SIZE = 64


def judge(pairs: Pairs, queries: Fingerprints, gallery: Fingerprints) -> Pairs:
    """Replaces the cosines of candidates by their similarities, and drops hopeless pairs.

    Args:
        pairs: candidates with their cosines as similarity.
        queries: the images of their rows.
        gallery: the images of their columns.
    """
    parts = (
        _judge(pairs.select(slice(start, start + _BATCH_SIZE)), queries, gallery)
        for start in range(0, len(pairs), _BATCH_SIZE)
    )
    return concatenate(parts)


def _judge(pairs: Pairs, queries: Fingerprints, gallery: Fingerprints) -> Pairs:
    first = orient(_views(queries, pairs.rows, pairs.views[:, 0]), pairs.orientations)
    second = _views(gallery, pairs.columns, pairs.views[:, 1])
    correlations = correlate(second[..., 0], first[..., 0])
    large = queries.has_view[pairs.rows, views.LARGE_CROP]
    large &= gallery.has_view[pairs.columns, views.LARGE_CROP]
    means = (pairs.similarity + correlations) / 2
    kept = np.flatnonzero(means >= np.where(large, _MIN_MEAN_OF_LARGE, _MIN_MEAN))
    pairs = pairs.select(kept)
    if not len(kept):
        return pairs
    first, second, correlations = first[kept], second[kept], correlations[kept]
    gray = queries.gray[pairs.rows] | gallery.gray[pairs.columns]
    similarity = _similarity(first, second, pairs.similarity, correlations, gray)
    turnable = np.flatnonzero(
        large[kept]
        & (similarity > _ROTATED_RANGE[0])
        & (similarity < _ROTATED_RANGE[1])
        & (pairs.views == views.WHOLE).all(1)
    )
    if len(turnable):
        rotated = _best_rotation(
            _stored(queries, pairs.select(turnable)),
            second[turnable],
            pairs.select(turnable),
            gray[turnable],
        )
        similarity[turnable] = np.maximum(similarity[turnable], rotated)
    identical = (means[kept] >= NEAR_IDENTICAL) & (pairs.orientations < TURNED_90)
    similarity = np.where(identical, means[kept], np.minimum(similarity, _MAX_SIMILARITY))
    # Documents and the like, and images that seem identical, are looked at more closely.
    flat = ~queries.photographic[pairs.rows] | ~gallery.photographic[pairs.columns]
    doubtful = np.flatnonzero(large[kept] & (flat | identical) & (similarity >= _MIN_DOUBTFUL))
    if len(doubtful):
        details = evidence.compare_details(
            _stored(queries, pairs.select(doubtful))[..., 0],
            gallery.thumbnails[pairs.columns[doubtful], ..., 0],
            np.stack([first[doubtful, ..., 0], second[doubtful, ..., 0]], 1),
        )
        is_whole = (pairs.views[doubtful] == views.WHOLE).all(1)
        least = np.where(identical[doubtful], _MIN_DETAILS_OF_IDENTICAL, _MIN_DETAILS)
        similarity[doubtful[(details < least) | ~is_whole]] = 0
    return dataclasses.replace(pairs, similarity=similarity.astype(np.float32))


def _stored(queries: Fingerprints, pairs: Pairs) -> np.ndarray:
    return orient(queries.thumbnails[pairs.rows], pairs.orientations)


def _views(images: Fingerprints, indices: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    found = images.whole[indices]
    other = np.flatnonzero(chosen != views.WHOLE)
    boxes = images.boxes[indices[other], chosen[other]]
    found[other] = views.crop(images.thumbnails[indices[other]], boxes)
    return found


def _similarity(
    first: np.ndarray,
    second: np.ndarray,
    cosines: np.ndarray,
    correlations: np.ndarray,
    gray: np.ndarray,
) -> np.ndarray:
    numbers = evidence.measure(first, second, cosines, correlations, gray)
    return 1 / (1 + np.exp(-np.clip((numbers * _WEIGHTS).sum(1) + _OFFSET, -30, 30)))


def _best_rotation(
    stored: np.ndarray, second: np.ndarray, pairs: Pairs, gray: np.ndarray
) -> np.ndarray:
    """The highest similarity after small rotations of the thumbnails of the queries."""
    box = np.tile(
        np.array([0, 0, views.STORED_SIZE, views.STORED_SIZE], np.float32), (len(stored), 1)
    )
    found = np.zeros(len(stored), np.float32)
    for degrees in _ROTATIONS:
        first = views.crop(views.turn_slightly(stored, degrees), box)
        correlations = correlate(second[..., 0], first[..., 0])
        found = np.maximum(found, _similarity(first, second, pairs.similarity, correlations, gray))
    return found
