# SPDX-License-Identifier: Apache-2.0
"""Scores against scikit-learn's, on random answers."""

import numpy as np
import pytest
from sklearn import metrics

from mixer_tf.evaluation.classification import ClassFigures, Scores, evaluate
from mixer_tf.features import ImageRecord
from mixer_tf.serving.predictor import Prediction

NAMES = [f"class {index}" for index in range(8)]


@pytest.fixture(scope="module")
def answers() -> tuple[np.ndarray, np.ndarray]:
    """Labels [N] and scores [N, 8]."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 7, 200)  # no image of the last class
    return labels, random.random((200, 8)) + 0.3 * np.eye(8)[labels]


@pytest.fixture(scope="module")
def scores(answers) -> Scores:
    found = Scores()
    for label, values in zip(*answers, strict=True):
        found.add(NAMES[label], [NAMES[index] for index in np.argsort(-values)])
    return found


def test_top_1_and_top_5_equal_those_of_scikit_learn(scores, answers):
    labels, values = answers
    for k, found in ((1, scores.top_1), (5, scores.top_5)):
        expected = metrics.top_k_accuracy_score(labels, values, k=k, labels=range(8))
        assert found == pytest.approx(expected)


def test_recall_and_precision_equal_those_of_scikit_learn(scores, answers):
    labels, values = answers
    first = values.argmax(1)
    precision, recall, _, images = metrics.precision_recall_fscore_support(
        labels, first, labels=range(8), zero_division=0
    )
    confusion = metrics.confusion_matrix(labels, first, labels=range(8))
    np.fill_diagonal(confusion, 0)
    for index, (name, found) in enumerate(scores.by_class(NAMES).items()):
        assert name == NAMES[index]
        assert found.images == images[index]
        assert (found.recall or 0) == pytest.approx(recall[index])
        assert (found.precision or 0) == pytest.approx(precision[index])
        if found.mistaken_for:
            mistaken = NAMES.index(found.mistaken_for)
            assert confusion[index, mistaken] == confusion[index].max()


def test_a_class_without_images_or_answers_has_no_figures():
    assert Scores().by_class(["cat"]) == {"cat": ClassFigures(0, 0, 0, "")}
    assert Scores().by_class(["cat"])["cat"].recall is None


def test_classes_that_only_the_images_have_come_last():
    scores = Scores()
    scores.add("horse", ["dog", "cat"])
    assert list(scores.by_class(["dog", "cat"])) == ["dog", "cat", "horse"]


class Echo:
    """Answers with the class whose name is the image's bytes, and notes the size of each batch."""

    def __init__(self):
        self.sizes = []

    def classify(self, encoded):
        self.sizes.append(len(encoded))
        return [[Prediction(image.decode(), 1.0)] for image in encoded]


def test_every_image_is_counted_once_whatever_the_batch_size():
    records = [
        ImageRecord(b"cat" if index % 3 else b"dog", "PNG", 0, "cat", str(index), 1, 1)
        for index in range(10)
    ]
    predictor, seen = Echo(), []
    scores = evaluate(predictor, iter(records), batch_size=4, progress=seen.append)
    assert predictor.sizes == [4, 4, 2]
    assert seen == [4, 8, 10]
    assert (scores.images, scores.correct) == (10, 6)
