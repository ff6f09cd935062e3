# SPDX-License-Identifier: Apache-2.0
"""Top-1, top-k and per-class metrics of an exported model on labeled images.

The images go through the model's serving signature as encoded bytes, so the metrics are those of
the predictions that a client receives. Classes are matched by name; a source may list them in
another order than the model.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

from mixer_tf.evaluation.class_counts import ClassCounts
from mixer_tf.features import ImageRecord
from mixer_tf.messages import printable, without_credentials
from mixer_tf.serving import contract


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a model says about one labeled image.

    Attributes:
        image: path or id of the image.
        class_name: its class.
        predicted: the class that the model finds most probable.
        probability: the probability of that class, in [0, 1].
    """

    image: str
    class_name: str
    predicted: str
    probability: float

    @property
    def is_correct(self) -> bool:
        return self.predicted == self.class_name


@dataclasses.dataclass(frozen=True)
class ClassMetrics:
    """The predictions for one class.

    Attributes:
        images: number of images of this class.
        correct: number of images of this class that the model predicted as this class.
        predicted: number of images of any class that the model predicted as this class.
        mistaken_for: the most frequent wrong prediction for images of this class, or "".
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
    """Counts correct and wrong predictions, one image at a time.

    Attributes:
        images: number of images.
        correct: number of images whose class is the most probable one.
        correct_in_top_k: number of images whose class is among the `contract.TOP_K` most probable.
        confusion: (class, most probable class) → number of images.
    """

    images: int = 0
    correct: int = 0
    correct_in_top_k: int = 0
    confusion: collections.Counter = dataclasses.field(default_factory=collections.Counter)

    def add(self, class_name: str, ranking: Sequence[str]) -> None:
        """Counts one image of `class_name`; `ranking` holds the predicted classes, best first."""
        self.images += 1
        self.correct += ranking[0] == class_name
        self.correct_in_top_k += class_name in ranking[: contract.TOP_K]
        self.confusion[class_name, ranking[0]] += 1

    @property
    def top_1(self) -> float:
        return self.correct / self.images

    @property
    def top_k(self) -> float:
        return self.correct_in_top_k / self.images

    def by_class(self, class_names: Iterable[str]) -> dict[str, ClassMetrics]:
        """Returns the metrics of the given classes, followed by any other classes that occurred."""
        predictions, predicted = collections.defaultdict(dict), collections.Counter()
        for (class_name, prediction), count in self.confusion.items():
            predictions[class_name][prediction] = count
            predicted[prediction] += count
        names = dict.fromkeys([*class_names, *sorted({*predicted, *predictions})])
        return {
            name: ClassMetrics(
                images=sum(predictions[name].values()),
                correct=predictions[name].get(name, 0),
                predicted=predicted[name],
                mistaken_for=_most_frequent_mistake(name, predictions[name]),
            )
            for name in names
        }

    def class_counts(self, where: str) -> ClassCounts:
        """Returns the counts for each class that has images.

        Args:
            where: where the images are from, such as "the test split".
        """
        images, correct = collections.Counter(), {}
        for (class_name, _), count in self.confusion.items():
            images[class_name] += count
        for class_name in images:
            correct[class_name] = self.confusion[class_name, class_name]
        answers = {prediction for _, prediction in self.confusion}
        return ClassCounts(images, correct, len(answers), where)


def _most_frequent_mistake(name: str, predictions: dict[str, int]) -> str:
    wrong = [
        (-count, prediction) for prediction, count in predictions.items() if prediction != name
    ]
    return min(wrong)[1] if wrong else ""


def evaluate(
    predictor,
    records: Iterable[ImageRecord],
    *,
    batch_size: int = 64,
    progress: Callable[[int], None] | None = None,
    keep: Callable[[Answer], None] | None = None,
) -> Scores:
    """Counts the correct predictions of a model on labeled images.

    Args:
        predictor: a `serving.predictor.Predictor`.
        records: images that passed `datasets.validation.check_record`.
        batch_size: number of images in one call of the model.
        progress: called after each batch with the number of images so far.
        keep: called with the answer for each image, in the order of the records.

    Raises:
        ValueError: the model returns fewer classes for an image than top-k accuracy requires.
    """
    scores = Scores()
    for batch in _batches(records, batch_size):
        predictions = predictor.classify([record.encoded for record in batch])
        for record, ranking in zip(batch, predictions, strict=True):
            _check_length(ranking, predictor)
            scores.add(record.class_name, [prediction.class_name for prediction in ranking])
            if keep:
                keep(_answer(record, ranking[0]))
        if progress:
            progress(scores.images)
    return scores


def _answer(record: ImageRecord, best) -> Answer:
    image = printable(without_credentials(record.source))
    return Answer(image, record.class_name, best.class_name, best.probability)


def _check_length(ranking: Sequence, predictor) -> None:
    required = min(contract.TOP_K, len(predictor.class_names))
    if len(ranking) < required:
        raise ValueError(
            f"a model must return the {required} most probable classes of an image for "
            f"{contract.top_k_title()} accuracy; {predictor.model_dir}, which was exported with "
            f"fewer top classes, returns {len(ranking)} of {len(predictor.class_names)}. "
            f"Export the model again, or set TOP_K in {contract.__name__} to {len(ranking)}."
        )


def _batches(records: Iterable[ImageRecord], size: int) -> Iterator[list[ImageRecord]]:
    records = iter(records)
    while batch := list(itertools.islice(records, size)):
        yield batch
