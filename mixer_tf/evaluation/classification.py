# SPDX-License-Identifier: Apache-2.0
"""Top-1, top-k, per-class metrics and calibration of exported models on labeled images.

The images go through the signature that the Evaluator uses, as encoded bytes, so the metrics are
those of the predictions that a client receives. Classes are matched by name; a source may list them
in another order than the model. The last batch is as small as it is, so that no image is left out.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np

from mixer_tf.evaluation.calibration import Calibration
from mixer_tf.evaluation.class_counts import ClassCounts
from mixer_tf.features import ImageRecord
from mixer_tf.messages import printable, without_credentials
from mixer_tf.prefetching import prefetched
from mixer_tf.serving import contract


@dataclasses.dataclass(frozen=True)
class LabeledPrediction:
    """What a model says about one labeled image.

    Attributes:
        image: path or id of the image.
        class_name: its class.
        predicted: the class that the model finds most probable.
        probability: the probability of that class, in [0, 1].
        rank: the position of its class among all classes of the model, from 1; None if the model
            does not know it.
        class_probability: the probability of its class; None if the model does not know it.
        top: the most probable classes and their probabilities, in descending order.
    """

    image: str
    class_name: str
    predicted: str
    probability: float
    rank: int | None = None
    class_probability: float | None = None
    top: tuple[tuple[str, float], ...] = ()

    @property
    def is_correct(self) -> bool:
        return self.predicted == self.class_name

    @property
    def loss(self) -> float | None:
        """The cross-entropy of the prediction; None if the model does not know the class."""
        if self.class_probability is None:
            return None
        return -math.log(self.class_probability) if self.class_probability else math.inf


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

    @property
    def rank(self) -> float:
        """A key that sorts the worst classes first, and those without images last."""
        return 2.0 if self.recall is None else self.recall


@dataclasses.dataclass
class Scores:
    """Counts correct and wrong predictions, one image at a time.

    Attributes:
        images: number of images.
        correct: number of images whose class is the most probable one.
        ranks: position of the image's class among all, from 1 → number of images; None for the
            classes that the model does not know.
        confusion: (class, most probable class) → number of images.
        calibration: probability of the most probable class against accuracy.
    """

    images: int = 0
    correct: int = 0
    ranks: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    confusion: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    calibration: Calibration = dataclasses.field(default_factory=Calibration)

    def add(self, prediction: LabeledPrediction) -> None:
        """Counts one image."""
        self.images += 1
        self.correct += prediction.is_correct
        self.ranks[prediction.rank] += 1
        self.confusion[prediction.class_name, prediction.predicted] += 1
        self.calibration.add(prediction.probability, prediction.is_correct)

    @property
    def top_1(self) -> float:
        return self.correct / self.images

    def correct_in_top(self, k: int) -> int:
        """Returns the number of images whose class is among the k most probable ones."""
        return sum(count for rank, count in self.ranks.items() if rank and rank <= k)

    def top(self, k: int) -> float:
        """Returns the share of the images whose class is among the k most probable ones."""
        return self.correct_in_top(k) / self.images

    def by_class(self, class_names: Iterable[str]) -> dict[str, ClassMetrics]:
        """See the function of this name."""
        return by_class(self.confusion, class_names)

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
        predictions = {prediction for _, prediction in self.confusion}
        return ClassCounts(images, correct, len(predictions), where)


def top_ks(num_classes: int, top: int) -> list[int]:
    """Returns the k for which a top-k accuracy says something: 1, that of the contract, and `top`.

    Args:
        num_classes: number of classes of the model.
        top: the k that the user asks for.
    """
    return sorted({1, *(k for k in (contract.TOP_K, top) if 1 < k < num_classes)})


def by_class(
    confusion: Mapping[tuple[str, str], int], class_names: Iterable[str]
) -> dict[str, ClassMetrics]:
    """Returns the metrics of the given classes, followed by any other classes that occurred.

    Args:
        confusion: (class, most probable class) → number of images.
        class_names: the classes to list first.
    """
    predictions, predicted = collections.defaultdict(dict), collections.Counter()
    for (class_name, prediction), count in confusion.items():
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


def _most_frequent_mistake(name: str, predictions: dict[str, int]) -> str:
    wrong = [
        (-count, prediction) for prediction, count in predictions.items() if prediction != name
    ]
    return min(wrong)[1] if wrong else ""


def evaluate(
    predictors: Sequence,
    records: Iterable[ImageRecord],
    *,
    top: int = contract.TOP_K,
    batch_size: int = 64,
    progress: Callable[[int], None] | None = None,
    keep: Callable[[int, ImageRecord, LabeledPrediction], None] | None = None,
) -> list[Scores]:
    """Counts the correct predictions of models on the same labeled images.

    Args:
        predictors: `serving.predictor.Predictor` objects, or others with `class_names`,
            `model_dir` and `probabilities`.
        records: images that passed `datasets.validation.check_record`; read ahead in a thread.
        top: number of classes in each prediction; at most as many as the model has.
        batch_size: number of images in one call of a model.
        progress: called after each batch with the number of images so far.
        keep: called with the index of the model, the image and the prediction; for all images in
            the order of the records within a batch, model after model.

    Returns:
        The counts of each model.

    Raises:
        ValueError: a model returns a probability that is not a number.
    """
    scores = [Scores() for _ in predictors]
    labels = [{name: i for i, name in enumerate(each.class_names)} for each in predictors]
    for batch in prefetched(_batches(records, batch_size)):
        for index, predictor in enumerate(predictors):
            for record, prediction in _predictions(predictor, labels[index], batch, top):
                scores[index].add(prediction)
                if keep:
                    keep(index, record, prediction)
        if progress:
            progress(scores[0].images)
    return scores


def _predictions(
    predictor, labels: Mapping[str, int], batch: Sequence[ImageRecord], top: int
) -> Iterator[tuple[ImageRecord, LabeledPrediction]]:
    probabilities = predictor.probabilities([record.encoded for record in batch])
    _require_numbers(probabilities, predictor, batch)
    best = _best(probabilities, top)
    for record, row, indices in zip(batch, probabilities, best, strict=True):
        label = labels.get(record.class_name)
        yield (
            record,
            make_prediction(
                record.source, record.class_name, label, row, indices, predictor.class_names
            ),
        )


def make_prediction(
    source: str,
    class_name: str,
    label: int | None,
    probabilities: np.ndarray,
    best: Sequence[int],
    class_names: Sequence[str],
) -> LabeledPrediction:
    """Returns what a model says about one image.

    Args:
        source: path or id of the image, as its record has it.
        class_name: its class.
        label: the index of that class in the model; None if the model does not know it.
        probabilities: in label order, float [C].
        best: the labels of the most probable classes, in descending order.
        class_names: class names of the model, in label order.
    """
    top = tuple((class_names[index], float(probabilities[index])) for index in best)
    predicted, probability = top[0]
    return LabeledPrediction(
        image=printable(without_credentials(source)),
        class_name=class_name,
        predicted=predicted,
        probability=probability,
        rank=None if label is None else _rank(probabilities, label),
        class_probability=None if label is None else float(probabilities[label]),
        top=top,
    )


def _best(probabilities: np.ndarray, top: int) -> np.ndarray:
    """The labels of the most probable classes; of equal ones the first, as in the signatures."""
    import tensorflow as tf

    return tf.math.top_k(probabilities, min(top, probabilities.shape[1])).indices.numpy()


def _rank(row: np.ndarray, label: int) -> int:
    equal_before = np.count_nonzero(row[:label] == row[label])
    return 1 + int(np.count_nonzero(row > row[label]) + equal_before)


def _require_numbers(probabilities: np.ndarray, predictor, batch: Sequence[ImageRecord]) -> None:
    bad = np.flatnonzero(~np.isfinite(probabilities).all(axis=1))
    if len(bad):
        image = printable(without_credentials(batch[bad[0]].source))
        raise ValueError(
            f"the probabilities of a model must be numbers; {predictor.model_dir} returns NaN or "
            f"infinity for {image}. Its training has diverged: train it again with a lower "
            "learning rate."
        )


def _batches(records: Iterable[ImageRecord], size: int) -> Iterator[list[ImageRecord]]:
    records = iter(records)
    while batch := list(itertools.islice(records, size)):
        yield batch
