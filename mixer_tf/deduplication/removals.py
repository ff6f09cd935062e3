# SPDX-License-Identifier: Apache-2.0
"""Decides which images are duplicates to remove, and of which images; removes nothing."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Collection, Iterable, Mapping

from mixer_tf.deduplication.fingerprints import ImageId, sort_key
from mixer_tf.deduplication.matching import EXACT, Match
from mixer_tf.features import SPLITS, TRAIN
from mixer_tf.messages import printable

# Why a duplicate is kept.
LABELS_DIFFER, LISTED = "labels differ", "listed as a duplicate to keep"


@dataclasses.dataclass(frozen=True)
class Removal:
    """An image that is a duplicate and should be removed, unless it is `kept`.

    It is a training image, or an image of the evaluation split that is a duplicate of a test image.

    Attributes:
        match: the image with the most similar of its duplicates.
        test_sets: names of all evaluation and test sets that contain a duplicate; empty if the
            duplicate is another training image.
        labels_differ: whether both images have a class of the same dataset, but not the same one.
        listed: whether the user listed the image as one to keep.
        conflict: the most similar pair of this image whose labels differ, which may be another
            pair; None if there is none.
    """

    match: Match
    test_sets: tuple[str, ...]
    labels_differ: bool = False
    listed: bool = False
    conflict: Match | None = None

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
    keep: Collection[str | ImageId] = frozenset(),
) -> list[Removal]:
    """Turns the matches of images into removals, sorted by set and source.

    Each training image that is a duplicate of an evaluation or test image is removed, and so is
    each evaluation image that is a duplicate of a test image. A duplicate of another training image
    is removed if that image precedes it and is kept; so in a chain of pairs whose ends differ, both
    ends may be kept.

    The labels of a pair differ if both images have a class, the classes are not the same, and the
    other image is in one of `comparable_sets`. What distinguishes such images, such as a defect of
    a part, may be too small to be measured, so they are reported and kept: near-duplicates, and
    equal bytes within training, where nobody knows which label is right. But an image with the
    bytes of an evaluation or test image is removed whatever its label: it is that image. Where
    labels cannot be compared, the class has no influence.

    Args:
        matches: as of `matching.find_matches`; those of an evaluation image are with test images.
        comparable_sets: see `image_sets.find_comparable_sets`.
        keep: paths or ids of images, or the images themselves, that are kept whatever they are
            duplicates of; see `DeduplicationOptions`.
    """
    by_image = collections.defaultdict(list)
    for match in matches:
        by_image[match.image].append(match)
    removals: dict[ImageId, Removal] = {}
    add_others(removals, by_image, comparable_sets, keep)
    add_within(removals, by_image, comparable_sets, keep)
    return in_order(removals)


def removal_key(removal: Removal) -> tuple[str, str, int]:
    """Returns the sort key of removals: that of their images."""
    return sort_key(removal.match.image)


def in_order(removals: Mapping[ImageId, Removal]) -> list[Removal]:
    """Returns the removals, sorted by set and source."""
    return [removals[image] for image in sorted(removals, key=sort_key)]


def add_others(
    removals: dict[ImageId, Removal],
    by_image: Mapping[ImageId, list[Match]],
    comparable_sets: Collection[str],
    keep: Collection[str | ImageId],
) -> None:
    """Adds the removals that follow from the duplicates in other sets; see `decide`.

    Args:
        removals: what was decided for other images; it is changed.
        by_image: image → all its matches with other sets; those within training are ignored.
        comparable_sets, keep: see `decide`.
    """
    for image, matches in by_image.items():
        found = [match for match in matches if match.other.set_name != TRAIN]
        leaks = [match for match in found if counts_as_duplicate(match, comparable_sets)]
        if found:
            removals[image] = _report(leaks or found, found, comparable_sets, keep)


def add_within(
    removals: dict[ImageId, Removal],
    by_image: Mapping[ImageId, list[Match]],
    comparable_sets: Collection[str],
    keep: Collection[str | ImageId],
) -> None:
    """Adds the removals that follow from duplicates within training, after those of `add_others`.

    Args:
        removals: what was decided; it is changed. A long list of images may be added in parts, each
            of which is later in the order of `fingerprints.sort_key` than the one before.
        by_image: training image → all its matches with training images that precede it.
        comparable_sets, keep: see `decide`.
    """
    for image in sorted(by_image, key=sort_key):
        earlier = removals.get(image)
        found = [match for match in by_image[image] if match.other.set_name == TRAIN]
        left = [match for match in found if not _is_removed(match.other, removals)]
        same = [match for match in left if counts_as_duplicate(match, comparable_sets)]
        is_leak = earlier and (not earlier.labels_differ or _is_exact_leak(earlier.match))
        if not is_leak and (same or (left and not earlier)):
            removals[image] = _report(same or left, found, comparable_sets, keep)
        if earlier:
            conflict = earlier.conflict or _conflict(found, comparable_sets)
            removals[image] = dataclasses.replace(removals[image], conflict=conflict)


def counts_as_duplicate(match: Match, comparable_sets: Collection[str]) -> bool:
    """Whether the image of a match is to be removed, unless the user listed it; see `decide`."""
    return not labels_differ(match, comparable_sets) or _is_exact_leak(match)


def labels_differ(match: Match, comparable_sets: Collection[str]) -> bool:
    """Whether both images of a match have a class of the same dataset, but not the same one."""
    first, second = match.image.class_name, match.other.class_name
    known = first and second and match.other.set_name in comparable_sets
    return bool(known and first != second)


def is_listed(image: ImageId, keep: Collection[str | ImageId]) -> bool:
    """Whether the user's list of images to keep names an image, as the report shows it."""
    return printable(image.source) in keep or image in keep


def _is_exact_leak(match: Match) -> bool:
    return match.reason == EXACT and match.other.set_name != TRAIN


def _is_removed(image: ImageId, removals: Mapping[ImageId, Removal]) -> bool:
    return image in removals and not removals[image].kept


def _report(
    matches: list[Match],
    all_matches: list[Match],
    comparable_sets: Collection[str],
    keep: Collection[str | ImageId],
) -> Removal:
    """The removal for one image by the matches that decide, with the labels of all of them."""
    best = min(matches, key=_rank)
    return Removal(
        best,
        tuple(sorted({match.other.set_name for match in matches} - {TRAIN})),
        labels_differ=labels_differ(best, comparable_sets),
        listed=is_listed(best.image, keep),
        conflict=_conflict(all_matches, comparable_sets),
    )


def _conflict(matches: list[Match], comparable_sets: Collection[str]) -> Match | None:
    """The most similar pair whose labels differ."""
    conflicts = [match for match in matches if labels_differ(match, comparable_sets)]
    return min(conflicts, key=_rank, default=None)


def _rank(match: Match) -> tuple:
    return match.distance, sort_key(match.other)
