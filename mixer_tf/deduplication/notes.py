# SPDX-License-Identifier: Apache-2.0
"""What a user should know about a deduplication: one line each, for the notes of the dataset."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from mixer_tf.deduplication import report
from mixer_tf.deduplication.label_conflicts import Conflict, LabeledImage
from mixer_tf.deduplication.modes import MARK, REMOVE
from mixer_tf.deduplication.options import DeduplicationOptions
from mixer_tf.deduplication.pair_page import page
from mixer_tf.deduplication.removals import LABELS_DIFFER, LISTED
from mixer_tf.deduplication.tally import Tally
from mixer_tf.features import EVAL, TRAIN
from mixer_tf.messages import printable

# A larger share of removed training images should be looked at. In CIFAR-10 it is
# below 1 %, as its duplicates, which people labeled, show.
_LARGE_SHARE = 0.03
# Without a folder: equal runs have equal notes.
_PAGE = page.FILE_NAME


def describe_removals(
    tally: Tally, options: DeduplicationOptions, uniform_sets: Iterable[str], num_train: int
) -> tuple[str, ...]:
    """Returns the notes.

    Args:
        tally: the numbers of all removals, carried out or not.
        options: the options of the deduplication.
        uniform_sets: names of the sets whose images all look alike.
        num_train: number of training images before the deduplication.
    """
    return (
        *(
            f"the images of {name} all look alike, so only nearly identical ones are duplicates"
            for name in sorted(set(uniform_sets))
        ),
        *_of_training(tally.duplicates(TRAIN), options, num_train),
        *_of_evaluation(tally.duplicates(EVAL), options),
        *_kept(tally),
        *_not_found(tally.unused_keep),
        *_of_several(tally.keep_several),
    )


def _of_training(duplicates: int, options: DeduplicationOptions, num_train: int) -> Iterator[str]:
    number = _count(duplicates, "training image")
    if duplicates and options.mode != REMOVE:
        marked = ", only marked in evaluation and test images" if options.mode == MARK else ""
        yield f"duplicates that were not removed{marked}: {number}; look at {_PAGE}"
    elif duplicates > _LARGE_SHARE * num_train:
        yield (
            f"removed as duplicates: {number} ({duplicates / num_train:.1%} of {num_train:,}); "
            f"look at {_PAGE}; --deduplicate=report would keep all of them, "
            "--keep-duplicates=FILE those that it lists"
        )


def _of_evaluation(duplicates: int, options: DeduplicationOptions) -> Iterator[str]:
    if duplicates:
        done = "removed from" if options.mode == REMOVE else "not removed from"
        yield (
            f"duplicates of test images that were {done} evaluation: {_count(duplicates)}; look at "
            f"{_PAGE}"
        )


def _kept(tally: Tally) -> Iterator[str]:
    different, listed = tally.kept(LABELS_DIFFER), tally.kept(LISTED)
    if different:
        yield (
            f"kept, although similar to an image of another class: {_count(different)}; look at "
            f"{_PAGE}"
        )
    if listed:
        yield f"kept, because --keep-duplicates lists them: {_count(listed)}"


def _not_found(unused: Sequence[str]) -> Iterator[str]:
    """A note on listed images that had no effect: a misspelled path, or no longer a duplicate."""
    if unused:
        yield (
            f"lines of --keep-duplicates that name no duplicate: {len(unused):,}, such as "
            f"{unused[0]!r}"
        )


def _of_several(lines: Sequence[str]) -> Iterator[str]:
    """A note on listed ids that several duplicates have, such as file names in TFRecord files."""
    if lines:
        yield (
            "lines of --keep-duplicates that name several duplicates, which are all kept: "
            f"{len(lines):,}, such as {lines[0]!r}"
        )


def describe_conflicts(conflicts: Collection[Conflict]) -> tuple[str, ...]:
    """Returns a note on the images with equal bytes and different labels, or nothing."""
    if not conflicts:
        return ()
    group = next(iter(conflicts))
    first = group[0]
    other = next(image for image in group if image.class_name != first.class_name)
    return (
        f"images with equal bytes and different labels, of which at most one can be right: "
        f"{sum(map(len, conflicts)):,}, such as {_show(first)} and {_show(other)}; all are listed "
        f"in {report.CONFLICTS} beside {_PAGE}",
    )


def _show(image: LabeledImage) -> str:
    return f"{printable(image.source)} ({printable(image.class_name)})"


def _count(number: int, what: str = "image") -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
