# SPDX-License-Identifier: Apache-2.0
"""Decides which training images are duplicates to remove, and of which images; removes nothing."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Collection, Iterable

from mixer_tf.deduplication.fingerprints import ImageId, sort_key
from mixer_tf.deduplication.matching import EXACT, Match
from mixer_tf.features import SPLITS, TRAIN
from mixer_tf.messages import printable

# Why a duplicate is kept.
LABELS_DIFFER, LISTED = "labels differ", "listed as a duplicate to keep"


@dataclasses.dataclass(frozen=True)
class Removal:
    """A training image that is a duplicate and should be removed, unless it is `kept`.

    Attributes:
        match: the training image with the most similar of its duplicates.
        test_sets: names of all evaluation and test sets that contain a duplicate; empty if the
            duplicate is another training image.
        labels_differ: whether both images have a class of the same dataset, but not the same one.
        listed: whether the user listed the image as one to keep.
    """

    match: Match
    test_sets: tuple[str, ...]
    labels_differ: bool = False
    listed: bool = False

    @property
    def kept(self) -> bool:
        """Whether the image is only reported."""
        return bool(self.kept_because)

    @property
    def kept_because(self) -> str:
        """`LISTED`, `LABELS_DIFFER`, or "" if the image is a duplicate to remove."""
        if self.listed:
            return LISTED
        return LABELS_DIFFER if self.labels_differ and not _is_exact_leak(self.match) else ""


def decide(
    matches: Iterable[Match],
    comparable_sets: Collection[str] = SPLITS,
    keep: Collection[str] = frozenset(),
) -> list[Removal]:
    """Turns the matches of training images into removals, sorted by source.

    Each duplicate of an evaluation or test image is removed. A duplicate of another training image
    is removed if that image precedes it and is kept; so in a chain of pairs whose ends differ, both
    ends may be kept.

    The labels of a pair differ if both images have a class, the classes are not the same, and the
    other image is in one of `comparable_sets`. What distinguishes such images, such as a defect of
    a part, may be too small to be measured, so they are reported and kept: near-duplicates, and
    equal bytes within training, where nobody knows which label is right. But a training image with
    the bytes of an evaluation or test image is removed whatever its label: it is that image. Where
    labels cannot be compared, the class has no influence.

    Args:
        matches: as of `matching.find_matches`.
        comparable_sets: see `image_sets.find_comparable_sets`.
        keep: paths or ids of training images that are kept whatever they are duplicates of; see
            `DeduplicationOptions`.
    """
    leaks, within, others = (collections.defaultdict(list) for _ in range(3))
    for match in matches:
        if _labels_differ(match, comparable_sets) and not _is_exact_leak(match):
            others[match.image].append(match)
        else:
            (within if match.other.set_name == TRAIN else leaks)[match.image].append(match)
    removals = {image: _report(found, comparable_sets, keep) for image, found in leaks.items()}
    for group in (within, others):
        for image in sorted((image for image in group if image not in removals), key=sort_key):
            left = [match for match in group[image] if not _is_removed(match.other, removals)]
            if left:
                removals[image] = _report(left, comparable_sets, keep)
    return [removals[image] for image in sorted(removals, key=sort_key)]


def _labels_differ(match: Match, comparable_sets: Collection[str]) -> bool:
    first, second = match.image.class_name, match.other.class_name
    known = first and second and match.other.set_name in comparable_sets
    return bool(known and first != second)


def _is_exact_leak(match: Match) -> bool:
    return match.reason == EXACT and match.other.set_name != TRAIN


def _is_removed(image: ImageId, removals: dict[ImageId, Removal]) -> bool:
    return image in removals and not removals[image].kept


def _report(
    matches: list[Match], comparable_sets: Collection[str], keep: Collection[str]
) -> Removal:
    """The removal for the matches of one image: test images first, then the most similar one."""
    tests = [match for match in matches if match.other.set_name != TRAIN]
    best = min(tests or matches, key=_rank)
    test_sets = sorted({match.other.set_name for match in tests})
    return Removal(
        best,
        tuple(test_sets),
        labels_differ=_labels_differ(best, comparable_sets),
        listed=printable(best.image.source) in keep,
    )


def _rank(match: Match) -> tuple:
    return match.distance, sort_key(match.other)
