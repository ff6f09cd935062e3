# SPDX-License-Identifier: Apache-2.0
"""Metrics against scikit-learn's on random predictions, and the number of top classes."""

import json

import numpy as np
import pytest
from sklearn import metrics

from mixer_tf.evaluation.answers import Answers
from mixer_tf.evaluation.classification import ClassMetrics, Scores, evaluate
from mixer_tf.evaluation.report import Report
from mixer_tf.features import ImageRecord
from mixer_tf.serving import contract
from mixer_tf.serving.predictor import Prediction

NAMES = [f"class {index}" for index in range(8)]


@pytest.fixture(scope="module")
def predictions() -> tuple[np.ndarray, np.ndarray]:
    """Labels [N] and class scores [N, 8]."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 7, 200)  # no image of the last class
    return labels, random.random((200, 8)) + 0.3 * np.eye(8)[labels]


@pytest.fixture(scope="module")
def scores(predictions) -> Scores:
    found = Scores()
    for label, values in zip(*predictions, strict=True):
        found.add(NAMES[label], [NAMES[index] for index in np.argsort(-values)])
    return found


def test_top_1_and_top_k_accuracy_equal_scikit_learns(scores, predictions):
    labels, values = predictions
    for k, found in ((1, scores.top_1), (contract.TOP_K, scores.top_k)):
        expected = metrics.top_k_accuracy_score(labels, values, k=k, labels=range(8))
        assert found == pytest.approx(expected)


def test_recall_and_precision_equal_scikit_learns(scores, predictions):
    labels, values = predictions
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


def test_counts_of_classes_equal_numpys(scores, predictions):
    labels, values = predictions
    counts = scores.class_counts("the eval split")
    right = values.argmax(1) == labels
    for index, name in enumerate(NAMES[:7]):
        assert counts.images[name] == (labels == index).sum()
        assert counts.correct[name] == right[labels == index].sum()
    assert set(counts.images) == set(counts.correct) == set(NAMES[:7])
    assert counts.num_answers == len(np.unique(values.argmax(1)))
    assert counts.where == "the eval split"


def test_a_class_without_images_or_predictions_has_no_recall():
    assert Scores().by_class(["cat"]) == {"cat": ClassMetrics(0, 0, 0, "")}
    assert Scores().by_class(["cat"])["cat"].recall is None


def test_classes_that_the_model_does_not_know_come_last():
    scores = Scores()
    scores.add("horse", ["dog", "cat"])
    assert list(scores.by_class(["dog", "cat"])) == ["dog", "cat", "horse"]


class FakePredictor:
    """Ranks the class named by the image's bytes first, then the others in label order."""

    model_dir = "runs/fake"

    def __init__(self, class_names, num_returned: int):
        self.class_names = class_names
        self.num_returned = num_returned
        self.batch_sizes = []

    def classify(self, encoded):
        self.batch_sizes.append(len(encoded))
        return [self._rank(image.decode()) for image in encoded]

    def _rank(self, first: str) -> list[Prediction]:
        ranking = [first, *(name for name in self.class_names if name != first)]
        return [Prediction(name, 1.0) for name in ranking[: self.num_returned]]


def make_records(images) -> list[ImageRecord]:
    """One record for each (class, class that the fake predictor ranks first)."""
    return [
        ImageRecord(first.encode(), "PNG", 0, class_name, str(index), 1, 1)
        for index, (class_name, first) in enumerate(images)
    ]


def test_every_image_is_counted_once_for_any_batch_size():
    records = make_records(("cat", "cat" if index % 3 else "dog") for index in range(10))
    predictor, progress = FakePredictor(("cat", "dog"), 2), []
    scores = evaluate(predictor, iter(records), batch_size=4, progress=progress.append)
    assert predictor.batch_sizes == [4, 4, 2]
    assert progress == [4, 8, 10]
    assert (scores.images, scores.correct) == (10, 6)


def test_the_number_of_top_classes_is_read_from_the_contract(monkeypatch):
    monkeypatch.setattr(contract, "TOP_K", 3)
    # The rankings are 0, 1, 2 …; 4, 0, 1 …; 7, 0, 1 …: class 2 is the third, then the fourth.
    images = [("class 2", "class 0"), ("class 2", "class 4"), ("class 1", "class 7")]
    predictor = FakePredictor(NAMES, 5)  # exported with more top classes
    scores = evaluate(predictor, make_records(images))
    assert (scores.correct, scores.correct_in_top_k) == (0, 2)
    report = Report(predictor, "folder:pets", ["test"], scores, Answers(0), (), 1.0)
    assert "\ntop-3    0.6667  (2 of 3)\n" in report.to_text()
    assert "top-5" not in report.to_text()
    figures = json.loads("\n".join(report.to_json()))
    assert figures["top_3"] == pytest.approx(2 / 3)
    assert "top_5" not in figures


def test_a_model_with_too_few_top_classes_is_refused(monkeypatch):
    records = make_records([("class 2", "class 0")])
    with pytest.raises(ValueError) as raised:
        evaluate(FakePredictor(NAMES, 3), records)
    assert str(raised.value) == (
        "a model must return the 5 most probable classes of an image for top-5 accuracy; "
        "runs/fake, which was exported with fewer top classes, returns 3 of 8. "
        "Export the model again, or set TOP_K in mixer_tf.serving.contract to 3."
    )
    monkeypatch.setattr(contract, "TOP_K", 3)
    assert evaluate(FakePredictor(NAMES, 3), records).correct_in_top_k == 1
    assert evaluate(FakePredictor(NAMES[:2], 2), records).correct_in_top_k == 0  # all its classes
