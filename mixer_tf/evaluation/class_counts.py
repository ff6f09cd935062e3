# SPDX-License-Identifier: Apache-2.0
"""Images and correct predictions for each class, and the reasons to doubt their accuracy.

No TensorFlow. The Pusher, the summary of a pipeline, `mixer evaluate` and `mixer train` share it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from mixer_tf.features import EVAL, TEST
from mixer_tf.messages import listing

FEW_IMAGES = 30  # an accuracy of 0.5 on 30 images has a standard error of 0.09
_WITHOUT = {EVAL: "the model is that of the last epoch", TEST: "nothing measures the model"}


@dataclasses.dataclass(frozen=True)
class ClassCounts:
    """Top-1 results, class by class.

    Attributes:
        images: class name → number of images; a class without any is left out.
        correct: class name → number of these images whose top-1 class is right.
        num_predicted: number of different top-1 classes over all images; None if unknown.
        where: where the images are from, as notes call it.
    """

    images: Mapping[str, int]
    correct: Mapping[str, int]
    num_predicted: int | None = None
    where: str = "the test split"

    @property
    def num_images(self) -> int:
        return sum(self.images.values())

    @property
    def num_correct(self) -> int:
        return sum(self.correct.values())

    @property
    def never_recognized(self) -> list[str]:
        """The classes that have images, none of which was recognized."""
        return sorted(name for name, count in self.correct.items() if not count)

    def notes(self, class_names: Sequence[str]) -> list[str]:
        """Returns one line for each thing that the accuracy hides.

        Args:
            class_names: all classes of the data set.
        """
        notes = notes_of_images(self.images, class_names, self.where)
        if self.never_recognized:
            named = [f"{name!r} (0 of {self.images[name]:,})" for name in self.never_recognized]
            notes.append(f"classes never recognized in {self.where}: {listing(named, show=str)}")
        return notes

    def warnings(self) -> list[str]:
        """Returns one line for each sign that the model may have learned nothing."""
        signs = [self.one_answer(), self.not_better_than_one_class()]
        return [sign for sign in signs if sign]

    def one_answer(self) -> str:
        """Returns "", or that the model predicted one class for images of several classes."""
        if self.num_predicted != 1 or len(self.images) < 2:
            return ""
        recognized = [repr(name) for name, count in self.correct.items() if count]
        prediction = recognized[0] if recognized else "one and the same class"
        return (
            f"the model predicted {prediction} for all {self.num_images:,} images of {self.where}"
        )

    def not_better_than_one_class(self) -> str:
        """See the function of this name."""
        return not_better_than_one_class(self.images, self.num_correct, self.where)


def where(split: str) -> str:
    """Returns what notes call a split: "the test split"."""
    return f"the {split} split"


def notes_of_splits(
    counts: Mapping[str, Mapping[str, int]],
    class_names: Sequence[str],
    splits: Sequence[str] = (EVAL, TEST),
) -> list[str]:
    """Returns the notes of each split; if a hash divides the images, a small class may get none.

    Args:
        counts: split → class name → number of images, as in `dataset.json`.
        class_names: all classes of the data set.
        splits: the splits to look at.
    """
    return [
        note
        for split in splits
        for note in _notes_of_split(split, counts.get(split, {}), class_names)
    ]


def _notes_of_split(split: str, images: Mapping[str, int], class_names: Sequence[str]) -> list[str]:
    if sum(images.values()):
        return notes_of_images(images, class_names, where(split))
    return [f"no usable image in {where(split)}: {_WITHOUT[split]}"]


def notes_of_images(images: Mapping[str, int], class_names: Sequence[str], where: str) -> list[str]:
    """Returns one line for each reason why the images say little, whatever the model.

    Args:
        images: class name → number of images.
        class_names: all classes of the data set.
        where: where the images are from, such as "the test split".
    """
    notes, total = [], sum(images.values())
    if total < FEW_IMAGES:
        notes.append(
            f"only {total} image{'' if total == 1 else 's'} in {where}: the accuracy is a rough "
            f"estimate; from {FEW_IMAGES} on it says more"
        )
    missing = [name for name in class_names if not images.get(name)]
    if missing:
        notes.append(f"classes without an image in {where}: {listing(missing)}")
    return notes


def not_better_than_one_class(images: Mapping[str, int], num_correct: int, where: str) -> str:
    """Returns "", or why the model may have learned nothing.

    A model that always predicts the largest class reaches the share of that class, so a model must
    be right more often.

    Args:
        images: class name → number of images.
        num_correct: number of images whose top-1 class is right.
        where: where the images are from, such as "the test split".
    """
    counts = {name: count for name, count in images.items() if count}
    if not counts:
        return ""
    name = max(counts, key=counts.__getitem__)
    if len(counts) == 1:
        return f"all images of {where} are of class {name!r}, so that the accuracy says nothing"
    if num_correct > counts[name]:
        return ""
    total = sum(counts.values())
    return (
        f"accuracy {num_correct / total:.4f} is not above {counts[name] / total:.4f}, which always "
        f"predicting {name!r}, the largest class of {where}, reaches"
    )
