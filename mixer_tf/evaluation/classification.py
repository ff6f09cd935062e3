# SPDX-License-Identifier: Apache-2.0
"""Top-1, top-5 and per-class figures of an exported model on the images of a source.

The images go through the model's served signature, as encoded bytes: what is measured is what a
client gets. Classes are matched by name, so the source may list them in another order.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

from mixer_tf.features import ImageRecord


@dataclasses.dataclass(frozen=True)
class ClassFigures:
    """What became of the images of one class.

    Attributes:
        images: how many there were.
        correct: how many the model took for this class.
        predicted: how many images of any class the model took for this one.
        mistaken_for: the class that it took them for most often otherwise, or "".
    """

    images: int
    correct: int
    predicted: int
    mistaken_for: str

    @property
    def recall(self) -> float | None:
        return self.correct / self.images if self.images else None

    @property
    def precision(self) -> float | None:
        return self.correct / self.predicted if self.predicted else None


@dataclasses.dataclass
class Scores:
    """Counts right and wrong answers as they come.

    Attributes:
        images: how many answers were counted.
        correct: with the right class in the first place.
        correct_in_5: with the right class among the first five.
        confusion: (right class, first answer) → how often.
    """

    images: int = 0
    correct: int = 0
    correct_in_5: int = 0
    confusion: collections.Counter = dataclasses.field(default_factory=collections.Counter)

    def add(self, class_name: str, ranking: Sequence[str]) -> None:
        """Counts one image of `class_name`, for which the model gave `ranking`, best first."""
        self.images += 1
        self.correct += ranking[0] == class_name
        self.correct_in_5 += class_name in ranking[:5]
        self.confusion[class_name, ranking[0]] += 1

    @property
    def top_1(self) -> float:
        return self.correct / self.images

    @property
    def top_5(self) -> float:
        return self.correct_in_5 / self.images

    def by_class(self, class_names: Iterable[str]) -> dict[str, ClassFigures]:
        """Class name → its figures, for the names given and then for any other that came up."""
        answers, predicted = collections.defaultdict(dict), collections.Counter()
        for (right, answer), count in self.confusion.items():
            answers[right][answer] = count
            predicted[answer] += count
        names = dict.fromkeys([*class_names, *sorted({*predicted, *answers})])
        return {
            name: ClassFigures(
                images=sum(answers[name].values()),
                correct=answers[name].get(name, 0),
                predicted=predicted[name],
                mistaken_for=_most_frequent_other(name, answers[name]),
            )
            for name in names
        }


def _most_frequent_other(name: str, answers: dict[str, int]) -> str:
    wrong = [(-count, answer) for answer, count in answers.items() if answer != name]
    return min(wrong)[1] if wrong else ""


def evaluate(
    predictor,
    records: Iterable[ImageRecord],
    *,
    batch_size: int = 64,
    progress: Callable[[int], None] | None = None,
) -> Scores:
    """Scores a model on images with labels.

    Args:
        predictor: a `serving.predictor.Predictor`.
        records: images that passed `datasets.quarantine.check_record`.
        batch_size: images in one call of the model.
        progress: called with the number of images so far, after each batch.
    """
    scores = Scores()
    for batch in _batches(records, batch_size):
        answers = predictor.classify([record.encoded for record in batch])
        for record, answer in zip(batch, answers, strict=True):
            scores.add(record.class_name, [prediction.class_name for prediction in answer])
        if progress:
            progress(scores.images)
    return scores


def _batches(records: Iterable[ImageRecord], size: int) -> Iterator[list[ImageRecord]]:
    records = iter(records)
    while batch := list(itertools.islice(records, size)):
        yield batch
