# SPDX-License-Identifier: Apache-2.0
"""Datasets whose images all look alike, such as handwritten digits, have a stricter threshold.

A set is uniform if more than a fifth of its distinct images have a duplicate in it by their own
thresholds; of fewer than twenty images, more than half. Copies say nothing about that: of images
with equal bytes one is counted, and a nearly identical image is not counted as a duplicate, because
it would be one in a uniform set as well.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from mixer_tf.deduplication.fingerprints import Fingerprints, concatenate
from mixer_tf.deduplication.matching import find_matches
from mixer_tf.deduplication.thresholds import NEAR_IDENTICAL
from mixer_tf.features import SPLITS

_UNIFORM_FRACTION, _UNIFORM_FRACTION_OF_FEW = 0.2, 0.5
_FEW_IMAGES, _MIN_IMAGES, _SAMPLE_SIZE = 20, 6, 200
# Up to this distance, images are copies in a uniform set as well.
_COPY_DISTANCE = 1 - NEAR_IDENTICAL


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


def find_similar(images: Fingerprints, samples: Samples) -> frozenset[tuple[str, bytes]]:
    """Returns the images of samples that resemble, and do not copy, some of the given images.

    Args:
        images: some images, or all of them.
        samples: samples of all of them.

    Returns:
        (name of the set, digest) of the images of the samples.
    """
    keys = np.array([_key(image.set_name) for image in images.ids], object)
    found = set()
    for key, sample in samples.items():
        if len(sample.images) < _MIN_IMAGES:
            continue
        indices = np.flatnonzero(keys == key)
        distinct = {images.digests[index]: index for index in indices[::-1].tolist()}
        digests = dict(zip(sample.images.ids, sample.images.digests, strict=True))
        for match in find_matches(sample.images, images.take([*distinct.values()])):
            if match.distance > _COPY_DISTANCE:
                found.add((key, digests[match.image]))
    return frozenset(found)


def find_uniform_sets(samples: Samples, similar: Collection[tuple[str, bytes]]) -> tuple[str, ...]:
    """Returns the names of the uniform sets.

    Args:
        samples: the samples of all sets.
        similar: as of `find_similar`, for all images.
    """
    numbers = collections.Counter(key for key, _ in similar)
    uniform: list[str] = []
    for key in sorted(samples, key=lambda key: (bool(key), key)):
        sample = samples[key]
        size = len(sample.images)
        fraction = _UNIFORM_FRACTION_OF_FEW if size < _FEW_IMAGES else _UNIFORM_FRACTION
        if numbers[key] > fraction * size:
            uniform += sample.names
    return tuple(uniform)


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
