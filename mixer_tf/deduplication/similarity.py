# SPDX-License-Identifier: Apache-2.0
"""The similarity of candidate pairs, from 0 to 1: how likely it is that they are copies.

It is the logistic function of a weighted sum of the numbers of `evidence.measure`. The weights were
fitted to pairs of CIFAR-10 images that people labeled, ciFAIR's list among them; nothing is fitted
to the user's images. Pairs whose pixels agree without any registration are nearly identical, and
their similarity is then the mean of cosine and correlation.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from mixer_tf.deduplication import evidence, views
from mixer_tf.deduplication.alignment import correlate
from mixer_tf.deduplication.candidates import TURNED_90, Pairs, concatenate, orient, ranks
from mixer_tf.deduplication.fingerprints import Fingerprints
from mixer_tf.deduplication.thresholds import NEAR_IDENTICAL

# In the order of `evidence.measure`: finest details, coarse details, chroma, correlation, cosine,
# logarithm of the variance of outlines.
_WEIGHTS = np.array([12.33, 6.85, 4.61, 8.50, 5.76, -0.814], np.float32)
_OFFSET = -19.08
# The share of the cosine in the score of a pair, and the least score; registration costs more than
# the rest. Of 1,941 copies of photographs that are found, 4 have a lower one than 0.75, and 2 a
# lower one than 0.70; of the labeled duplicates of CIFAR-10, none a lower one than 0.74.
_COSINE_SHARE, _MIN_SCORE = 0.3, 0.66
# Pairs of views of one pair of images that are registered at most, those with the highest scores;
# copies of photographs have up to 14. Small images have two, of which one is mirrored.
_MAX_VIEWS = 6
# Rotations that are tried, in degrees, and the range of similarity of pairs that are worth it.
_ROTATIONS = (-4.5, -3.0, -1.5, 1.5, 3.0, 4.5)
_ROTATED_RANGE = (0.002, 0.75)
# Pairs that are registered have a lower similarity than nearly identical ones.
_MAX_SIMILARITY = 0.995
# Pairs of documents and of nearly identical images, from this similarity on, need at least these
# correlations of the details of the stored thumbnails.
_MIN_DOUBTFUL = 0.2
_MIN_DETAILS, _MIN_DETAILS_OF_IDENTICAL = 0.8, 0.93
# The same for parts of documents. Of two generated forms, receipts or letters, it is at most 0.55;
# of copies that were re-encoded, resized, blurred or have another contrast, at least 0.75.
_MIN_PARTS = 0.65
# One pair takes 300 kB of memory.
_BATCH_SIZE = 64


def judge(pairs: Pairs, queries: Fingerprints, gallery: Fingerprints) -> Pairs:
    """Replaces the cosines of candidates by their similarities, and drops hopeless pairs.

    Args:
        pairs: candidates with their cosines as similarity.
        queries: the images of their rows.
        gallery: the images of their columns.
    """
    pairs = pairs.select(~_are_parts_of_documents(pairs, queries, gallery))
    pairs, correlations = _without_hopeless(pairs, queries, gallery)
    parts = (
        _judge(_Batch.make(pairs.select(batch), queries, gallery, correlations[batch]))
        for batch in _batches(len(pairs))
    )
    return concatenate(parts)


@dataclasses.dataclass(frozen=True)
class _Batch:
    """N pairs with what is needed to judge them.

    Attributes:
        pairs: the pairs, with their cosines as similarity.
        queries, gallery: the images of their rows and columns.
        first, second: uint8 [N, 32, 32, 3], the views that are compared.
        correlations: float32 [N], as of `alignment.correlate`.
    """

    pairs: Pairs
    queries: Fingerprints
    gallery: Fingerprints
    first: np.ndarray
    second: np.ndarray
    correlations: np.ndarray

    @classmethod
    def make(
        cls,
        pairs: Pairs,
        queries: Fingerprints,
        gallery: Fingerprints,
        correlations: np.ndarray | None = None,
    ) -> _Batch:
        first = orient(_views(queries, pairs.rows, pairs.views[:, 0]), pairs.orientations)
        second = _views(gallery, pairs.columns, pairs.views[:, 1])
        if correlations is None:
            correlations = correlate(second[..., 0], first[..., 0])
        return cls(pairs, queries, gallery, first, second, correlations)

    @property
    def means(self) -> np.ndarray:
        return (self.pairs.similarity + self.correlations) / 2

    @property
    def are_large(self) -> np.ndarray:
        return _are_large(self.pairs, self.queries, self.gallery)

    @property
    def are_whole(self) -> np.ndarray:
        return (self.pairs.views == views.WHOLE).all(1)

    @property
    def one_is_gray(self) -> np.ndarray:
        return self.queries.gray[self.pairs.rows] | self.gallery.gray[self.pairs.columns]

    @property
    def one_is_flat(self) -> np.ndarray:
        photographic = self.queries.photographic[self.pairs.rows]
        return ~(photographic & self.gallery.photographic[self.pairs.columns])

    def stored(self, index: np.ndarray) -> np.ndarray:
        """The stored thumbnails of the queries of some pairs, turned as they are compared."""
        pairs = self.pairs.select(index)
        return orient(self.queries.thumbnails[pairs.rows], pairs.orientations)

    def similarity(self, first: np.ndarray, index: np.ndarray | slice) -> np.ndarray:
        """The similarity of some pairs with `first` in place of their first images."""
        second, correlations = self.second[index], self.correlations[index]
        if first is not self.first:
            correlations = correlate(second[..., 0], first[..., 0])
        cosines, gray = self.pairs.similarity[index], self.one_is_gray[index]
        numbers = evidence.measure(first, second, cosines, correlations, gray)
        return 1 / (1 + np.exp(-np.clip((numbers * _WEIGHTS).sum(1) + _OFFSET, -30, 30)))


def _batches(number: int) -> Iterator[slice]:
    for start in range(0, number, _BATCH_SIZE):
        yield slice(start, start + _BATCH_SIZE)


def _are_large(pairs: Pairs, queries: Fingerprints, gallery: Fingerprints) -> np.ndarray:
    large = queries.has_view[pairs.rows, views.LARGE_CROP]
    return large & gallery.has_view[pairs.columns, views.LARGE_CROP]


def _are_parts_of_documents(
    pairs: Pairs, queries: Fingerprints, gallery: Fingerprints
) -> np.ndarray:
    """Which pairs are of a drawing or a document, and of a part of an image; none is a duplicate.

    The parts of documents of one layout are alike.
    """
    photographic = queries.photographic[pairs.rows] & gallery.photographic[pairs.columns]
    are_whole = (pairs.views == views.WHOLE).all(1)
    return ~are_whole & ~photographic & _are_large(pairs, queries, gallery)


def _without_hopeless(
    pairs: Pairs, queries: Fingerprints, gallery: Fingerprints
) -> tuple[Pairs, np.ndarray]:
    """The pairs that are worth a registration, and their correlations."""
    found = [
        _Batch.make(pairs.select(chosen), queries, gallery).correlations
        for chosen in _batches(len(pairs))
    ]
    correlations = np.concatenate([np.zeros(0, np.float32), *found])
    score = _COSINE_SHARE * pairs.similarity + (1 - _COSINE_SHARE) * correlations
    images = pairs.rows.astype(np.int64) * len(gallery) + pairs.columns
    hopeful = (score >= _MIN_SCORE) & (ranks(images, -score) < _MAX_VIEWS)
    return pairs.select(hopeful), correlations[hopeful]


def _judge(batch: _Batch) -> Pairs:
    similarity = batch.similarity(batch.first, slice(None))
    similarity = np.maximum(similarity, _rotated(batch, similarity))
    identical = (batch.means >= NEAR_IDENTICAL) & (batch.pairs.orientations < TURNED_90)
    similarity = np.where(identical, batch.means, _MAX_SIMILARITY * similarity)
    similarity[_differ_in_details(batch, similarity, identical)] = 0
    return dataclasses.replace(batch.pairs, similarity=similarity.astype(np.float32))


def _rotated(batch: _Batch, similarity: np.ndarray) -> np.ndarray:
    """The highest similarity after small rotations of the query; 0 where none is tried."""
    low, high = _ROTATED_RANGE
    worth_it = batch.are_large & batch.are_whole & (similarity > low) & (similarity < high)
    index = np.flatnonzero(worth_it)
    found = np.zeros(len(similarity))
    if len(index):
        stored = batch.stored(index)
        box = np.tile(np.float32([0, 0, views.STORED_SIZE, views.STORED_SIZE]), (len(index), 1))
        for degrees in _ROTATIONS:
            first = views.crop(views.turn_slightly(stored, degrees), box)
            found[index] = np.maximum(found[index], batch.similarity(first, index))
    return found


def _differ_in_details(batch: _Batch, similarity: np.ndarray, identical: np.ndarray) -> np.ndarray:
    """Indices of pairs of documents and of nearly identical images whose small details differ."""
    doubtful = batch.are_large & (batch.one_is_flat | identical) & (similarity >= _MIN_DOUBTFUL)
    index = np.flatnonzero(doubtful)
    if not len(index):
        return index
    details, parts = evidence.compare_details(
        batch.stored(index)[..., 0],
        batch.gallery.thumbnails[batch.pairs.columns[index], ..., 0],
        np.stack([batch.first[index, ..., 0], batch.second[index, ..., 0]], 1),
    )
    least = np.where(identical[index], _MIN_DETAILS_OF_IDENTICAL, _MIN_DETAILS)
    differ = (details < least) | (batch.one_is_flat[index] & (parts < _MIN_PARTS))
    return index[differ | ~batch.are_whole[index]]


def _views(images: Fingerprints, indices: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    found = images.whole[indices]
    other = np.flatnonzero(chosen != views.WHOLE)
    boxes = images.boxes[indices[other], chosen[other]]
    found[other] = views.crop(images.thumbnails[indices[other]], boxes)
    return found
