# SPDX-License-Identifier: Apache-2.0
"""What the Evaluator found on the test split, class by class, and whether that beats guessing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from mixer_tf import features

# Metrics of the Evaluator.
TOP_1 = "accuracy"
EXAMPLE_COUNT = "example_count"

FEW_IMAGES = 30  # an accuracy of 0.5 on 30 images has a standard error of 0.09
_NAMES_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Top-1 results on the test split.

    Attributes:
        images: class name → number of test images; a class without any is left out.
        correct: class name → number of these images whose top-1 class is right.
    """

    images: dict[str, int]
    correct: dict[str, int]

    @classmethod
    def read(cls, folder: str) -> Evaluation:
        """Reads the folder of a ModelEvaluation artifact; imports TFMA."""
        import tensorflow_model_analysis as tfma

        images, correct = {}, {}
        for slice_key, metrics in tfma.load_eval_result(folder).slicing_metrics:
            if slice_key and slice_key[0][0] == features.CLASS_NAME:
                name, found = str(slice_key[0][1]), metrics[""][""]
                images[name] = round(found[EXAMPLE_COUNT]["doubleValue"])
                correct[name] = round(found[TOP_1]["doubleValue"] * images[name])
        return cls(images, correct)

    @property
    def num_images(self) -> int:
        return sum(self.images.values())

    @property
    def never_recognized(self) -> list[str]:
        """The classes that have test images, none of which was recognized."""
        return sorted(name for name, count in self.correct.items() if not count)

    def notes(self, class_names: Sequence[str]) -> list[str]:
        """Returns one line for each reason to doubt the accuracy.

        Args:
            class_names: all classes of the data set.
        """
        notes = []
        if self.num_images < FEW_IMAGES:
            images = f"{self.num_images} image{'' if self.num_images == 1 else 's'}"
            notes.append(
                f"the test split has only {images}: its accuracy is a rough estimate; from "
                f"{FEW_IMAGES} on it says more"
            )
        untested = [name for name in class_names if name not in self.images]
        if untested:
            notes.append(f"classes without a test image: {_listing(untested)}")
        if self.never_recognized:
            named = [f"{name!r} (0 of {self.images[name]:,})" for name in self.never_recognized]
            notes.append(f"classes never recognized in the test split: {_listing(named, str)}")
        return notes

    def not_better_than_one_class(self) -> str:
        """Returns "", or why the model may have learned nothing.

        A model that always answers the largest class of the test split reaches the share of that
        class, so a model must be right more often.
        """
        if not self.images:
            return ""
        name = max(self.images, key=self.images.__getitem__)
        if len(self.images) == 1:
            return f"all test images are of class {name!r}, so that their accuracy says nothing"
        if sum(self.correct.values()) > self.images[name]:
            return ""
        return (
            f"accuracy {self._share(self.correct):.4f} is not above "
            f"{self.images[name] / self.num_images:.4f}, which always answering {name!r}, the "
            "largest class of the test split, reaches"
        )

    def _share(self, counts: Mapping[str, int]) -> float:
        return sum(counts.values()) / self.num_images


def _listing(names: Sequence[str], show: Callable[[str], str] = repr) -> str:
    """Such as "'cat', 'dog', and 7 more"."""
    shown = [show(name) for name in names[:_NAMES_SHOWN]]
    more = len(names) - len(shown)
    return ", ".join([*shown, *([f"and {more:,} more"] if more else [])])
