# SPDX-License-Identifier: Apache-2.0
"""The images that training images are compared with, and the comparison in blocks."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Iterator

import numpy as np

from mixer_tf.deduplication.blocks import find_in_block
from mixer_tf.deduplication.fingerprints import Fingerprints, concatenate
from mixer_tf.deduplication.matching import Match, find_matches
from mixer_tf.deduplication.uniform_sets import raise_thresholds
from mixer_tf.features import EVAL

# Number of training images that are compared with all others at a time within training.
_BLOCK_SIZE = 1024


@dataclasses.dataclass(frozen=True)
class Gallery:
    """The images that others are compared with.

    Attributes:
        images: their fingerprints, in the order of `fingerprints.sort_key`.
        uniform_sets: names of the sets whose images all look alike; see `uniform_sets`.
    """

    images: Fingerprints
    uniform_sets: tuple[str, ...]

    @functools.cached_property
    def evaluation(self) -> np.ndarray:
        """The indices of the images of the evaluation split, int [E], ascending."""
        return np.flatnonzero([image.set_name == EVAL for image in self.images.ids])

    @functools.cached_property
    def tests(self) -> tuple[Fingerprints, ...]:
        """The images before and after those of the evaluation split, which are not copied."""
        if not len(self.evaluation):
            return (self.images,)
        first, last = self.evaluation[[0, -1]].tolist()
        parts = self.images.slice(0, first), self.images.slice(last + 1, len(self.images))
        return tuple(part for part in parts if len(part))


def make_gallery(parts: Iterable[Fingerprints]) -> Gallery:
    """Concatenates fingerprints, and raises the thresholds of uniform sets."""
    return Gallery(*raise_thresholds(concatenate(parts)))


def find_in_gallery(images: Fingerprints, gallery: Gallery) -> Iterator[Match]:
    """Yields the duplicates of some images in a gallery that does not contain them."""
    return find_in_block(images, gallery.images)


def list_blocks(gallery: Gallery) -> Iterable[int]:
    """Returns the first index of each block for `find_within`."""
    return range(0, len(gallery.images), _BLOCK_SIZE)


def find_within(start: int, gallery: Gallery) -> Iterator[Match]:
    """Yields the duplicates of each image of a block among the images of the gallery before it."""
    indices = np.arange(start, min(start + _BLOCK_SIZE, len(gallery.images)))
    return find_matches(gallery.images.take(indices), gallery.images, indices)


def list_evaluation_blocks(gallery: Gallery) -> Iterable[int]:
    """Returns the first of each block of evaluation images for `find_in_tests`."""
    return range(0, len(gallery.evaluation), _BLOCK_SIZE)


def find_in_tests(start: int, gallery: Gallery) -> Iterator[Match]:
    """Yields the duplicates of a block of evaluation images among the test images of all sets.

    The evaluation split is cut from training data, and decides which epoch is used.
    """
    queries = gallery.images.take(gallery.evaluation[start : start + _BLOCK_SIZE])
    for tests in gallery.tests:
        yield from find_matches(queries, tests)
