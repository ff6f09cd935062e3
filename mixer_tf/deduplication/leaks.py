# SPDX-License-Identifier: Apache-2.0
"""Which evaluation and test images have a duplicate in training, and which training image it is."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from mixer_tf.deduplication.fingerprints import ImageId, sort_key
from mixer_tf.deduplication.gallery import Gallery
from mixer_tf.deduplication.matching import Match
from mixer_tf.deduplication.removals import counts_as_duplicate, is_listed
from mixer_tf.features import EVAL, TEST, TRAIN


@dataclasses.dataclass(frozen=True)
class Leaks:
    """The images that have a duplicate in training.

    Attributes:
        counts: name of an evaluation or test set → number of its images that have one.
        marks: work item of the evaluation or test split → index of an image → path or id of the
            most similar training image.
    """

    counts: Mapping[str, int]
    marks: Mapping[Any, Mapping[int, str]]


class LeakFinder:
    """Finds leaks by matches that arrive in any order.

    A match counts if its training image would be removed because of it: not where the labels
    differ, and not where the user listed the image as one to keep; see `removals.decide`. Of
    images with equal bytes, not each one has a match; all of them leak.

    Args:
        images: the images of all evaluation and test sets.
        digests: their digests.
        comparable_sets, keep: see `removals.decide`.
    """

    def __init__(
        self,
        images: Sequence[ImageId],
        digests: Sequence[bytes],
        comparable_sets: Collection[str],
        keep: Collection[str],
    ):
        self._images = images
        self._digests = dict(zip(images, digests, strict=True))
        self._comparable_sets, self._keep = comparable_sets, keep
        self._best: dict[tuple[str, bytes], ImageId] = {}
        self._ranks: dict[tuple[str, bytes], tuple] = {}

    def add(self, matches: Iterable[Match]) -> None:
        """Adds the matches of training images; all others are ignored."""
        for match in matches:
            if match.image.set_name == TRAIN and match.other.set_name != TRAIN:
                self._add(match)

    def _add(self, match: Match) -> None:
        is_duplicate = counts_as_duplicate(match, self._comparable_sets)
        if not is_duplicate or is_listed(match.image, self._keep):
            return
        key = match.other.set_name, self._digests[match.other]
        rank = match.distance, sort_key(match.image)
        if key not in self._best or rank < self._ranks[key]:
            self._best[key], self._ranks[key] = match.image, rank

    def find(self, splits: Collection[str] = ()) -> Leaks:
        """Returns the leaks, with marks for the images of some splits."""
        counts: collections.Counter[str] = collections.Counter()
        marks: dict[Any, dict[int, str]] = collections.defaultdict(dict)
        for image in self._images:
            found = self._best.get((image.set_name, self._digests[image]))
            if found is not None:
                counts[image.set_name] += 1
                if image.set_name in splits:
                    marks[image.work_item][image.index] = found.source
        return Leaks(dict(counts), dict(marks))


def find_leaks(
    matches: Iterable[Match],
    gallery: Gallery,
    comparable_sets: Collection[str],
    keep: Collection[str],
    *,
    with_marks: bool = False,
) -> Leaks:
    """Returns the images of a gallery that have a duplicate in training.

    Args:
        matches: matches with the gallery; those within training are ignored.
        gallery: the images of all evaluation and test sets.
        comparable_sets, keep: see `removals.decide`.
        with_marks: whether marks are made, for the evaluation and the test split.
    """
    images = gallery.images
    finder = LeakFinder(images.ids, images.digests, comparable_sets, keep)
    finder.add(matches)
    return finder.find((EVAL, TEST) if with_marks else ())
