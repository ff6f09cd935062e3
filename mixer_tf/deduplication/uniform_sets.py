# SPDX-License-Identifier: Apache-2.0
"""Data sets whose images all look alike, such as handwritten digits, ask for more than likeness.

Where many images of one set are as alike as copies are among photographs, likeness says nothing.
A fifth is far from both sides: of 500 images, 0.6 % of CIFAR-10's test images and 82 % of the
digits have such a neighbour; of 20 digits, 40 %.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from mixer_tf.deduplication.fingerprints import Fingerprints
from mixer_tf.deduplication.matching import find_matches
from mixer_tf.deduplication.thresholds import NEAR_IDENTICAL
from mixer_tf.features import SPLITS

_SHARE = 0.2
_LEAST, _MOST = 20, 500


def raise_thresholds(gallery: Fingerprints) -> tuple[Fingerprints, tuple[str, ...]]:
    """Raises what is thresholds of the images of uniform sets to `thresholds.NEAR_IDENTICAL`.

    Args:
        gallery: images of one or several sets; the splits of one data set count as one.

    Returns:
        The gallery with its new requirements, and the names of the uniform sets.
    """
    names = np.array([image.set_name for image in gallery.ids], object)
    uniform: list[str] = []
    for group in _groups(set(names.tolist())):
        indices = np.flatnonzero(np.isin(names, group))
        if _is_uniform(gallery.take(indices)):
            uniform += group
    thresholds = np.where(
        np.isin(names, uniform), np.maximum(gallery.thresholds, NEAR_IDENTICAL), gallery.thresholds
    )
    stricter = dataclasses.replace(gallery, thresholds=thresholds.astype(np.float32))
    return stricter, tuple(uniform)


def _groups(names: set[str]) -> list[list[str]]:
    """The splits of the data set itself together, every other set alone."""
    own = sorted(names.intersection(SPLITS))
    others = [[name] for name in sorted(names.difference(SPLITS))]
    return [own, *others] if own else others


def _is_uniform(images: Fingerprints) -> bool:
    """Whether too many of a sample, which the digests choose, are like another of the images."""
    if len(images) < _LEAST:
        return False
    sample = np.argsort(np.array(images.digests, object), kind="stable")[:_MOST]
    matches = find_matches(images.take(sample), images)
    alike = {match.image for match in matches if match.image != match.other}
    return len(alike) > _SHARE * len(sample)
