# SPDX-License-Identifier: Apache-2.0
"""Pairs of duplicates as they are shown, with what was done about them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

from mixer_tf.deduplication.fingerprints import ImageId
from mixer_tf.deduplication.options import DeduplicationOptions
from mixer_tf.deduplication.removals import LABELS_DIFFER, LISTED, Removal

REMOVED = "removed"
_DONE = {"remove": REMOVED, "mark": "only marked", "report": "only reported"}
KEPT_LABELS_DIFFER, KEPT_LISTED = "kept because labels differ", "kept because listed"
_KEPT = {LABELS_DIFFER: KEPT_LABELS_DIFFER, LISTED: KEPT_LISTED}


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two images that are duplicates, and what was done about the first of them.

    Attributes:
        image: the image of training (or of another split that must not share images with `other`).
        other: the image that it is a duplicate of.
        distance: 0 for equal bytes; the larger, the less certain.
        reason: such as "near-duplicate"; see `matching.Match`.
        decision: such as `REMOVED`; a reader can filter by it.
        labels_differ: whether both images have a class of the same dataset, but not the same one.
    """

    image: ImageId
    other: ImageId
    distance: float
    reason: str
    decision: str
    labels_differ: bool = False

    @property
    def is_kept(self) -> bool:
        """Whether the first image stays whatever the mode is."""
        return self.decision in _KEPT.values()


@dataclasses.dataclass(frozen=True)
class PairsOf:
    """The pairs of each removal, carried out or not; they can be read several times."""

    removals: Iterable[Removal]
    options: DeduplicationOptions

    def __iter__(self) -> Iterator[Pair]:
        done = _DONE[self.options.mode]
        return (pair for removal in self.removals for pair in _pairs_of_one(removal, done))


def _pairs_of_one(removal: Removal, done: str) -> Iterator[Pair]:
    """The pair that decided, and the one whose labels differ if that is another one."""
    decision = _KEPT.get(removal.kept_because, done)
    for match in dict.fromkeys((removal.match, removal.conflict)):
        if match is not None:
            yield Pair(
                match.image,
                match.other,
                match.distance,
                match.reason,
                decision,
                labels_differ=match == removal.conflict or removal.labels_differ,
            )
