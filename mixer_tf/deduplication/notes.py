# SPDX-License-Identifier: Apache-2.0
"""What a user should know about a deduplication: one line each, for the notes of the dataset."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mixer_tf.deduplication.matching import EXACT
from mixer_tf.deduplication.options import REMOVE, DeduplicationOptions
from mixer_tf.deduplication.removals import Removal
from mixer_tf.messages import printable

# A larger share of removed training images should be looked at. In CIFAR-10 it is
# below 1 %, as its duplicates, which people labeled, show.
_LARGE_SHARE = 0.03


def describe_removals(
    removals: Sequence[Removal],
    options: DeduplicationOptions,
    uniform_sets: Iterable[str],
    num_train: int,
    page: str,
) -> tuple[str, ...]:
    """Returns the notes.

    Args:
        removals: all of them, carried out or not.
        options: the options of the deduplication.
        uniform_sets: names of the sets whose images all look alike.
        num_train: number of training images before the deduplication.
        page: the path of `pairs.html`.
    """
    duplicates = [removal for removal in removals if not removal.kept]
    kept = [removal for removal in removals if removal.kept]
    conflicts = [r for r in removals if r.labels_differ and r.match.reason == EXACT]
    notes = [
        f"the images of {name} all look alike, so only nearly identical ones are duplicates"
        for name in sorted(set(uniform_sets))
    ]
    page = printable(page)
    if duplicates and options.mode != REMOVE:
        notes.append(f"duplicates that were not removed: {_count(duplicates)}; look at {page}")
    elif len(duplicates) > _LARGE_SHARE * num_train:
        notes.append(
            f"removed as duplicates: {_count(duplicates)} ({len(duplicates) / num_train:.1%} of "
            f"{num_train:,}); look at {page}; --deduplicate=report would keep them"
        )
    if kept:
        notes.append(
            f"kept, although similar to an image of another class: {_count(kept)}; look at {page}"
        )
    if conflicts:
        notes.append(
            f"equal to an image of another class, so one label may be wrong: {_count(conflicts)}; "
            f"see each 'exact copy' of another class in pairs.jsonl beside {page}"
        )
    return tuple(notes)


def _count(removals: Sequence[Removal]) -> str:
    return f"{len(removals):,} training image{'' if len(removals) == 1 else 's'}"
