# SPDX-License-Identifier: Apache-2.0
"""Data sets whose images all look alike, such as handwritten digits, ask for more than likeness.

Where many images of one set are as alike as copies are among photographs, likeness says nothing.
A fifth is far from both sides: of 500 images, 0.6 % of CIFAR-10's test images and 82 % of the
digits have such a neighbour; of 20 digits, 40 %.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from components.deduplicator.fingerprints import Fingerprints
from components.deduplicator.matching import find_matches
from components.deduplicator.rules import SAME
from mixer_tf.features import SPLITS

_SHARE = 0.2
_LEAST, _MOST = 20, 500


def require_more_of_crowds(gallery: Fingerprints) -> tuple[Fingerprints, tuple[str, ...]]:
    """Raises what is required of the images of crowded sets to `rules.SAME`.

    Args:
        gallery: images of one or several sets; the splits of one data set count as one.

    Returns:
        The gallery with its new requirements, and the names of the crowded sets.
    """
    names = np.array([image.set_name for image in gallery.ids], object)
    crowded: list[str] = []
    for group in _groups(set(names.tolist())):
        places = np.flatnonzero(np.isin(names, group))
        if _is_crowded(gallery.take(places)):
            crowded += group
    required = np.where(
        np.isin(names, crowded), np.maximum(gallery.required, SAME), gallery.required
    )
    stricter = dataclasses.replace(gallery, required=required.astype(np.float32))
    return stricter, tuple(crowded)


def _groups(names: set[str]) -> list[list[str]]:
    """The splits of the data set itself together, every other set alone."""
    own = sorted(names.intersection(SPLITS))
    others = [[name] for name in sorted(names.difference(SPLITS))]
    return [own, *others] if own else others


def _is_crowded(images: Fingerprints) -> bool:
    """Whether too many of a sample, which the digests choose, are like another of the images."""
    if len(images) < _LEAST:
        return False
    sample = np.argsort(np.array(images.digests, object), kind="stable")[:_MOST]
    matches = find_matches(images.take(sample), images)
    alike = {match.image for match in matches if match.image != match.other}
    return len(alike) > _SHARE * len(sample)
