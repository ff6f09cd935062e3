# SPDX-License-Identifier: Apache-2.0
"""Datasets whose images all look alike, such as handwritten digits, have a stricter threshold.

A set is uniform if more than a fifth of its distinct images have a duplicate in it by their own
thresholds. A fifth is far from both kinds of sets: in samples of 500 images, 0.6 % of CIFAR-10's
test images and 82 % of the digits have one; of 20 digits, 40 %. Copies say nothing about that: of
images with equal bytes one is counted, and a nearly identical image is not counted as a duplicate,
because it would be one in a uniform set as well.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from mixer_tf.deduplication.fingerprints import Fingerprints
from mixer_tf.deduplication.matching import find_matches
from mixer_tf.deduplication.thresholds import NEAR_IDENTICAL
from mixer_tf.features import SPLITS

_UNIFORM_FRACTION = 0.2
_MIN_IMAGES, _SAMPLE_SIZE = 20, 500
# Up to this distance, images are copies in a uniform set as well.
_COPY_DISTANCE = 1 - NEAR_IDENTICAL


def raise_thresholds(gallery: Fingerprints) -> tuple[Fingerprints, tuple[str, ...]]:
    """Raises the thresholds of images of uniform sets to `thresholds.NEAR_IDENTICAL`.

    Args:
        gallery: images of one or several sets; the splits of one dataset are one set.

    Returns:
        The gallery with its new thresholds, and the names of the uniform sets.
    """
    names = np.array([image.set_name for image in gallery.ids], object)
    uniform: list[str] = []
    for group in _groups(set(names.tolist())):
        indices = np.flatnonzero(np.isin(names, group))
        distinct = {gallery.digests[index]: index for index in indices[::-1].tolist()}
        if _is_uniform(gallery.take([*distinct.values()])):
            uniform += group
    thresholds = np.where(
        np.isin(names, uniform), np.maximum(gallery.thresholds, NEAR_IDENTICAL), gallery.thresholds
    )
    raised = dataclasses.replace(gallery, thresholds=thresholds.astype(np.float32))
    return raised, tuple(uniform)


def _groups(names: set[str]) -> list[list[str]]:
    """The splits of the dataset itself as one group, each other set as a group of its own."""
    own = sorted(names.intersection(SPLITS))
    others = [[name] for name in sorted(names.difference(SPLITS))]
    return [own, *others] if own else others


def _is_uniform(distinct: Fingerprints) -> bool:
    """Whether too many images of a sample, chosen by their digests, resemble others of the set."""
    if len(distinct) < _MIN_IMAGES:
        return False
    sample = np.argsort(np.array(distinct.digests, object), kind="stable")[:_SAMPLE_SIZE]
    matches = find_matches(distinct.take(sample), distinct)
    similar = {match.image for match in matches if match.distance > _COPY_DISTANCE}
    return len(similar) > _UNIFORM_FRACTION * len(sample)
