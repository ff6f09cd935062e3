# SPDX-License-Identifier: Apache-2.0
"""What a user should know about a deduplication: one line each, for the notes of the dataset."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mixer_tf.deduplication import page, report
from mixer_tf.deduplication.label_conflicts import Conflict, LabeledImage
from mixer_tf.deduplication.modes import MARK, REMOVE
from mixer_tf.deduplication.options import DeduplicationOptions
from mixer_tf.deduplication.removals import LABELS_DIFFER, LISTED, Removal
from mixer_tf.features import EVAL, TRAIN
from mixer_tf.messages import printable

# A larger share of removed training images should be looked at. In CIFAR-10 it is
# below 1 %, as its duplicates, which people labeled, show.
_LARGE_SHARE = 0.03
# Without a folder: equal runs have equal notes.
_PAGE = page.FILE_NAME


def describe_removals(
    removals: Sequence[Removal],
    options: DeduplicationOptions,
    uniform_sets: Iterable[str],
    num_train: int,
) -> tuple[str, ...]:
    """Returns the notes.

    Args:
        removals: all of them, carried out or not.
        options: the options of the deduplication.
        uniform_sets: names of the sets whose images all look alike.
        num_train: number of training images before the deduplication.
    """
    found = [removal for removal in removals if not removal.kept]
    duplicates = [removal for removal in found if removal.match.image.set_name == TRAIN]
    evaluation = [removal for removal in found if removal.match.image.set_name == EVAL]
    kept = [removal for removal in removals if removal.kept_because == LABELS_DIFFER]
    listed = [removal for removal in removals if removal.kept_because == LISTED]
    notes = [
        f"the images of {name} all look alike, so only nearly identical ones are duplicates"
        for name in sorted(set(uniform_sets))
    ]
    if duplicates and options.mode != REMOVE:
        marked = ", only marked in evaluation and test images" if options.mode == MARK else ""
        notes.append(
            f"duplicates that were not removed{marked}: {_count(duplicates)}; look at {_PAGE}"
        )
    elif len(duplicates) > _LARGE_SHARE * num_train:
        notes.append(
            f"removed as duplicates: {_count(duplicates)} ({len(duplicates) / num_train:.1%} of "
            f"{num_train:,}); look at {_PAGE}; --deduplicate=report would keep all of them, "
            "--keep-duplicates=FILE those that it lists"
        )
    if evaluation:
        done = "removed from" if options.mode == REMOVE else "not removed from"
        notes.append(
            f"duplicates of test images that were {done} evaluation: "
            f"{_count(evaluation, 'image')}; look at {_PAGE}"
        )
    if kept:
        notes.append(
            "kept, although similar to an image of another class: "
            f"{_count(kept, 'image')}; look at {_PAGE}"
        )
    if listed:
        notes.append(f"kept, because --keep-duplicates lists them: {_count(listed, 'image')}")
    return (*notes, *_not_found(removals, options))


def describe_conflicts(conflicts: Sequence[Conflict]) -> tuple[str, ...]:
    """Returns a note on the images with equal bytes and different labels, or nothing."""
    if not conflicts:
        return ()
    first = conflicts[0][0]
    other = next(image for image in conflicts[0] if image.class_name != first.class_name)
    return (
        f"images with equal bytes and different labels, of which at most one can be right: "
        f"{sum(map(len, conflicts)):,}, such as {_show(first)} and {_show(other)}; all are listed "
        f"in {report.CONFLICTS} beside {_PAGE}",
    )


def _not_found(removals: Sequence[Removal], options: DeduplicationOptions) -> tuple[str, ...]:
    """A note on listed images that had no effect: a misspelled path, or no longer a duplicate."""
    unused = sorted(options.keep - {printable(item.match.image.source) for item in removals})
    if not unused:
        return ()
    return (
        f"lines of --keep-duplicates that name no duplicate: {len(unused):,}, such as "
        f"{unused[0]!r}",
    )


def _show(image: LabeledImage) -> str:
    return f"{printable(image.source)} ({printable(image.class_name)})"


def _count(removals: Sequence[Removal], what: str = "training image") -> str:
    return f"{len(removals):,} {what}{'' if len(removals) == 1 else 's'}"
