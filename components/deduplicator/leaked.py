# SPDX-License-Identifier: Apache-2.0
"""Finds in Beam which evaluation and test images have a duplicate in training.

What `leaks.LeakFinder` does in memory is done here for each image, and for each group of images of
a set that have equal bytes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

import apache_beam as beam

from mixer_tf.deduplication import connected, leaks
from mixer_tf.deduplication.fingerprints import Fingerprints, ImageId
from mixer_tf.deduplication.leaks import Leaked
from mixer_tf.deduplication.matching import Match

_RANKS, _GROUPS, _IMAGES = "ranks", "groups", "images"

_Group = tuple[str, bytes]  # Name of a set, and the digest of some of its images.
_Rank = tuple[float, tuple[str, str, int]]  # As of `leaks.rank`.


class FindLeaks(beam.PTransform):
    """Matches → Leaked images, in no order: those of `leaks.find_leaks` for all matches together.

    Args:
        tests: PCollection of the fingerprints of all evaluation and test sets.
        comparable_sets, keep: see `removals.decide`.
    """

    def __init__(self, tests, comparable_sets: Collection[str], keep: Collection[str]):
        super().__init__()
        self._tests, self._comparable_sets, self._keep = tests, comparable_sets, keep

    def expand(self, matches):
        ranks = (
            matches
            | "Ranks" >> beam.FlatMap(_key_rank, self._comparable_sets, self._keep)
            | "Best of each image" >> beam.CombinePerKey(min)
        )
        groups = self._tests | "Group of each image" >> beam.FlatMap(_key_groups)
        best = (
            {_RANKS: ranks, _GROUPS: groups}
            | "Rank with group" >> beam.CoGroupByKey()
            | "By group" >> beam.FlatMap(_regroup)
            | "Best of each group" >> beam.CombinePerKey(min)
        )
        images = self._tests | "Images of each group" >> beam.FlatMap(_key_images)
        return (
            {_RANKS: best, _IMAGES: images}
            | "Best with images" >> beam.CoGroupByKey()
            | "Leaked" >> beam.FlatMap(_find_leaked)
        )


def _key_rank(
    match: Match, comparable_sets: Collection[str], keep: Collection[str]
) -> Iterator[tuple[bytes, _Rank]]:
    if leaks.is_leak(match, comparable_sets, keep):
        yield connected.image_key(match.other), leaks.rank(match)


def _key_groups(images: Fingerprints) -> Iterator[tuple[bytes, _Group]]:
    for image, digest in zip(images.ids, images.digests, strict=True):
        yield connected.image_key(image), (image.set_name, digest)


def _key_images(images: Fingerprints) -> Iterator[tuple[_Group, ImageId]]:
    for image, digest in zip(images.ids, images.digests, strict=True):
        yield (image.set_name, digest), image


def _regroup(found: tuple[bytes, Mapping[str, Iterable]]) -> Iterator[tuple[_Group, _Rank]]:
    for group in found[1][_GROUPS]:
        for rank in found[1][_RANKS]:
            yield group, rank


def _find_leaked(found: tuple[_Group, Mapping[str, Iterable]]) -> Iterator[Leaked]:
    for _, (_, source, _) in found[1][_RANKS]:
        for image in found[1][_IMAGES]:
            yield Leaked(image, source)
