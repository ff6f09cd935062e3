# SPDX-License-Identifier: Apache-2.0
"""Datasets whose images all look alike, such as handwritten digits, have a stricter threshold.

A set is uniform if more than a fifth of its distinct images look like others of it; of fewer than
twenty images, more than half. Copies say nothing about that, also edited ones: they form groups in
which nearly every image is a duplicate of every other one, and of which each has a copy that is
nearly equal. Look-alikes form chains, or one large group, or resemble each other less. Of images
with equal bytes one is counted.
"""

from __future__ import annotations

import collections
import dataclasses
import math
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from mixer_tf.deduplication import connected
from mixer_tf.deduplication.connected import Edge
from mixer_tf.deduplication.fingerprints import Fingerprints, concatenate
from mixer_tf.deduplication.matching import find_matches
from mixer_tf.deduplication.thresholds import NEAR_IDENTICAL
from mixer_tf.features import SPLITS

_UNIFORM_FRACTION, _UNIFORM_FRACTION_OF_FEW = 0.2, 0.5
_FEW_IMAGES, _MIN_IMAGES, _SAMPLE_SIZE = 20, 6, 200
# Up to this distance, images are copies in a uniform set as well.
_COPY_DISTANCE = 1 - NEAR_IDENTICAL
# Of crops, re-encoded and otherwise edited copies of photographs, 6 in 100 have no copy within this
# distance; of handwritten digits without any copy, a third of 60 images and half of 600.
_EDIT_DISTANCE = 0.06
# In a group of copies, a larger share of all pairs are duplicates: 0.8 to 1 of nine crops of one
# image, but 0.2 to 0.7 in groups of digits.
_MIN_DENSITY = 0.7
# Images of the sample in one group that are too many to be copies of one image.
_LARGE_GROUP = 20
# Images that a sample is compared with at a time; as many as in a matrix product of `candidates`.
_BLOCK_SIZE = 8192


def raise_thresholds(gallery: Fingerprints) -> tuple[Fingerprints, tuple[str, ...]]:
    """Raises the thresholds of images of uniform sets to `thresholds.NEAR_IDENTICAL`.

    Args:
        gallery: images of one or several sets; the splits of one dataset are one set.

    Returns:
        The gallery with its new thresholds, and the names of the uniform sets.
    """
    samples = take_samples(gallery)
    uniform = find_uniform_sets(samples, find_similar(gallery, samples))
    return with_thresholds(gallery, uniform), uniform


@dataclasses.dataclass(frozen=True)
class Sample:
    """A sample of the distinct images of a set, chosen by their digests.

    Attributes:
        names: the names of the splits, or of the one set, sorted.
        images: the fingerprints of the sample, by ascending digest.
    """

    names: tuple[str, ...]
    images: Fingerprints


# Name of a set → its sample; the splits of the dataset itself are one set.
Samples = Mapping[str, Sample]


def take_samples(images: Fingerprints) -> Samples:
    """Returns a sample of each set that the images are from."""
    names = np.array([image.set_name for image in images.ids], object)
    samples = {}
    for group in _groups(set(names.tolist())):
        indices = np.flatnonzero(np.isin(names, group)).tolist()
        samples[_key(group[0])] = _sample(tuple(group), images, indices)
    return samples


def merge_samples(several: Iterable[Samples]) -> Samples:
    """Returns the samples of all images from those of parts of them."""
    by_set = collections.defaultdict(list)
    for samples in several:
        for key, sample in samples.items():
            by_set[key].append(sample)
    return {key: _merge(parts) for key, parts in by_set.items()}


@dataclasses.dataclass(frozen=True)
class Similar:
    """Which images of a sample resemble others of the set.

    Attributes:
        edges: pairs of digests of the sample whose images are duplicates by their own thresholds.
        nearest: digest → distance to the most similar image of the set that is not nearly
            identical; only of images that resemble one.
    """

    edges: frozenset[Edge] = frozenset()
    nearest: Mapping[bytes, float] = dataclasses.field(default_factory=dict)


def find_similar(images: Fingerprints, samples: Samples) -> Mapping[str, Similar]:
    """Finds the images of samples that resemble some of the given images.

    Args:
        images: some images, or all of them.
        samples: samples of all of them.

    Returns:
        Name of each set → what was found for its sample.
    """
    keys = np.array([_key(image.set_name) for image in images.ids], object)
    return {
        key: _find_similar(images, np.flatnonzero(keys == key), sample.images)
        for key, sample in samples.items()
        if len(sample.images) >= _MIN_IMAGES
    }


def merge_similar(several: Iterable[Mapping[str, Similar]]) -> Mapping[str, Similar]:
    """Returns what was found in all images from what was found in parts of them."""
    by_set = collections.defaultdict(list)
    for found in several:
        for key, similar in found.items():
            by_set[key].append(similar)
    return {key: _merge_similar(parts) for key, parts in by_set.items()}


def find_uniform_sets(samples: Samples, similar: Mapping[str, Similar]) -> tuple[str, ...]:
    """Returns the names of the uniform sets.

    Args:
        samples: the samples of all sets.
        similar: as of `find_similar`, for all images.
    """
    uniform: list[str] = []
    for key in sorted(samples, key=lambda key: (bool(key), key)):
        size = len(samples[key].images)
        fraction = _UNIFORM_FRACTION_OF_FEW if size < _FEW_IMAGES else _UNIFORM_FRACTION
        if _count_look_alikes(similar.get(key, Similar()), fraction * size) > fraction * size:
            uniform += samples[key].names
    return tuple(uniform)


def _find_similar(images: Fingerprints, indices: np.ndarray, sample: Fingerprints) -> Similar:
    """Compares a sample with the distinct images at some indices."""
    distinct = [*{images.digests[index]: index for index in indices[::-1].tolist()}.values()]
    own, sampled = dict(zip(sample.ids, sample.digests, strict=True)), frozenset(sample.digests)
    edges, nearest = set(), {}
    for start in range(0, len(distinct), _BLOCK_SIZE):
        block = images.take(distinct[start : start + _BLOCK_SIZE])
        digests = dict(zip(block.ids, block.digests, strict=True))
        for match in find_matches(sample, block):
            digest, other = own[match.image], digests[match.other]
            if other in sampled and other != digest:
                edges.add(connected.make_edge(digest, other))
            if match.distance > _COPY_DISTANCE:
                nearest[digest] = min(match.distance, nearest.get(digest, math.inf))
    return Similar(frozenset(edges), nearest)


def _merge_similar(parts: Sequence[Similar]) -> Similar:
    nearest: dict[bytes, float] = {}
    for part in parts:
        for digest, distance in part.nearest.items():
            nearest[digest] = min(distance, nearest.get(digest, math.inf))
    return Similar(frozenset().union(*(part.edges for part in parts)), nearest)


def _count_look_alikes(similar: Similar, most_copies: float) -> int:
    """The number of images of a sample that resemble others and are no copies of them.

    Args:
        similar: what the images resemble.
        most_copies: number of images of the sample; a larger group, if it is not small, is not one
            of copies of one image.
    """
    found = {digest for digest, near in similar.nearest.items() if near > _EDIT_DISTANCE}
    roots = connected.find_roots(similar.edges)
    num_edges = collections.Counter(roots[edge[0]] for edge in similar.edges)
    for root, size in collections.Counter(roots.values()).items():
        is_loose = size > 2 and num_edges[root] < _MIN_DENSITY * math.comb(size, 2)
        if is_loose or size > max(most_copies, _LARGE_GROUP):
            found |= {digest for digest in roots if roots[digest] == root}
    return len(found & similar.nearest.keys())


def with_thresholds(images: Fingerprints, uniform_sets: Collection[str]) -> Fingerprints:
    """Returns the images with the thresholds that they have in uniform sets."""
    is_in = np.array([image.set_name in uniform_sets for image in images.ids], bool)
    raised = np.where(is_in, np.maximum(images.thresholds, NEAR_IDENTICAL), images.thresholds)
    return dataclasses.replace(images, thresholds=raised.astype(np.float32))


def _groups(names: set[str]) -> list[list[str]]:
    """The splits of the dataset itself as one group, each other set as a group of its own."""
    own = sorted(names.intersection(SPLITS))
    others = [[name] for name in sorted(names.difference(SPLITS))]
    return [own, *others] if own else others


def _key(name: str) -> str:
    """The name of a group; "" for the dataset itself."""
    return "" if name in SPLITS else name


def _sample(names: tuple[str, ...], images: Fingerprints, indices: Iterable[int]) -> Sample:
    """The distinct images at these indices with the smallest digests; of equal ones the first."""
    first: dict[bytes, int] = {}
    for index in indices:
        first.setdefault(images.digests[index], index)
    return Sample(names, images.take([first[digest] for digest in sorted(first)[:_SAMPLE_SIZE]]))


def _merge(samples: Sequence[Sample]) -> Sample:
    names = tuple(sorted({name for sample in samples for name in sample.names}))
    images = concatenate(sample.images for sample in samples)
    return _sample(names, images, range(len(images)))
