# SPDX-License-Identifier: Apache-2.0
"""Decides which training images are duplicates to remove, and of which images; removes nothing."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable

from mixer_tf.deduplication.fingerprints import sort_key
from mixer_tf.deduplication.matching import Match
from mixer_tf.features import TRAIN


@dataclasses.dataclass(frozen=True)
class Removal:
    """A training image that should be removed.

    Attributes:
        match: the training image with the most similar of its duplicates.
        test_sets: names of all evaluation and test sets that contain a duplicate; empty if the
            duplicate is another training image.
    """

    match: Match
    test_sets: tuple[str, ...]


def decide(matches: Iterable[Match]) -> list[Removal]:
    """Turns the matches of training images into removals, sorted by source.

    Each duplicate of an evaluation or test image is removed. A duplicate of another training image
    is removed if that image precedes it and is kept; so in a chain of pairs whose ends differ, both
    ends may be kept.
    """
    leaks, within = collections.defaultdict(list), collections.defaultdict(list)
    for match in matches:
        (within if match.other.set_name == TRAIN else leaks)[match.image].append(match)
    removals = {image: _remove_leak(found) for image, found in leaks.items()}
    for image in sorted((image for image in within if image not in removals), key=sort_key):
        kept = [match for match in within[image] if match.other not in removals]
        if kept:
            removals[image] = Removal(min(kept, key=_rank), ())
    return [removals[image] for image in sorted(removals, key=sort_key)]


def _remove_leak(matches: list[Match]) -> Removal:
    test_sets = sorted({match.other.set_name for match in matches})
    return Removal(min(matches, key=_rank), tuple(test_sets))


def _rank(match: Match) -> tuple:
    return match.distance, sort_key(match.other)
