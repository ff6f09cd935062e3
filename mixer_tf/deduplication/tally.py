# SPDX-License-Identifier: Apache-2.0
"""The numbers of a deduplication, counted in one pass over its removals."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Collection, Iterable

from mixer_tf.deduplication.removals import Removal
from mixer_tf.features import TRAIN
from mixer_tf.messages import printable


@dataclasses.dataclass(frozen=True)
class Tally:
    """Numbers of images.

    Attributes:
        decisions: (name of a set, `Removal.kept_because`) → number of its images.
        by_set: (name of a set, name of another one) → number of images of the first, not kept, that
            have a duplicate in the other; "train" stands for those with a duplicate within their
            own set alone.
        classes: (name of a set, class name) → number of images that are not kept.
        labels_differ: number of images, kept or not, that resemble an image of another label.
        unused_keep: the lines of the list of images to keep that name none of them, sorted.
        keep_several: those that name several of them, which have the same id, sorted.
    """

    decisions: collections.Counter
    by_set: collections.Counter
    classes: collections.Counter
    labels_differ: int
    unused_keep: tuple[str, ...]
    keep_several: tuple[str, ...] = ()

    def duplicates(self, set_name: str) -> int:
        """Returns the number of images of a set that are not kept."""
        return self.decisions[set_name, ""]

    def kept(self, kept_because: str) -> int:
        """Returns the number of images of all sets that are kept for one reason."""
        return sum(count for (_, why), count in self.decisions.items() if why == kept_because)


def tally(removals: Iterable[Removal], keep: Collection[str] = frozenset()) -> Tally:
    """Counts removals, carried out or not.

    Args:
        removals: all of them; they are read once.
        keep: see `DeduplicationOptions`.
    """
    found = Tally(*(collections.Counter() for _ in range(3)), 0, ())
    labels_differ, uses = 0, dict.fromkeys(keep, 0)
    for removal in removals:
        image = removal.match.image
        found.decisions[image.set_name, removal.kept_because] += 1
        labels_differ += removal.conflict is not None
        name = printable(image.source)
        if name in uses:
            uses[name] += 1
        if not removal.kept:
            found.classes[image.set_name, image.class_name] += 1
            for name in removal.test_sets or (TRAIN,):
                found.by_set[image.set_name, name] += 1
    return dataclasses.replace(
        found,
        labels_differ=labels_differ,
        unused_keep=tuple(sorted(line for line, number in uses.items() if not number)),
        keep_several=tuple(sorted(line for line, number in uses.items() if number > 1)),
    )
