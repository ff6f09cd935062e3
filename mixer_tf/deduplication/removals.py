# SPDX-License-Identifier: Apache-2.0
"""Decides which training images go, and remembers why: one removal for each of them."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Sequence

from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.deduplication.fingerprints import sort_key
from mixer_tf.deduplication.matching import Match
from mixer_tf.features import TRAIN


@dataclasses.dataclass(frozen=True)
class Removal:
    """A training image that goes.

    Attributes:
        match: the nearest of the images that it is a copy of.
        test_sets: the names of all test sets that hold a copy of it; none where it goes because
            training holds it twice.
    """

    match: Match
    test_sets: tuple[str, ...]


def decide(matches: Iterable[Match]) -> list[Removal]:
    """Turns all matches of training images into removals, ordered by source.

    Whatever an evaluation or test image is a copy of goes. Of the copies within training an image
    goes where one before it stays; so of a chain of pairs whose ends differ, both ends may stay.
    """
    leaks, within = collections.defaultdict(list), collections.defaultdict(list)
    for match in matches:
        (within if match.other.set_name == TRAIN else leaks)[match.image].append(match)
    removals = {image: _remove_leak(found) for image, found in leaks.items()}
    for image in sorted((image for image in within if image not in removals), key=sort_key):
        staying = [match for match in within[image] if match.other not in removals]
        if staying:
            removals[image] = Removal(min(staying, key=_rank), ())
    return [removals[image] for image in sorted(removals, key=sort_key)]


def _remove_leak(matches: list[Match]) -> Removal:
    test_sets = sorted({match.other.set_name for match in matches})
    return Removal(min(matches, key=_rank), tuple(test_sets))


def _rank(match: Match) -> tuple:
    return match.distance, sort_key(match.other)


def update_info(
    info: DatasetInfo, removals: Sequence[Removal], uniform: Iterable[str] = ()
) -> DatasetInfo:
    """Returns what the dataset says of itself once the images are gone.

    Args:
        info: what it said before.
        removals: all of them.
        uniform: the sets whose images are too alike to tell copies from look-alikes.
    """
    gone = collections.Counter(removal.match.image.class_name for removal in removals)
    train = {name: count - gone[name] for name, count in info.counts[TRAIN].items()}
    strict = tuple(
        f"images of {name} are all so alike that only almost equal ones counted as copies"
        for name in sorted(set(uniform))
    )
    emptied = tuple(
        f"class '{name}' has no training image left: all {gone[name]:,} were copies of others"
        for name, count in train.items()
        if name and not count  # without a name: images without a label
    )
    counts = {**info.counts, TRAIN: {name: count for name, count in train.items() if count}}
    return dataclasses.replace(info, counts=counts, notes=(*info.notes, *strict, *emptied))
