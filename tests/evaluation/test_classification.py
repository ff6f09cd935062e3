# SPDX-License-Identifier: Apache-2.0
"""Metrics against scikit-learn's on random predictions, and every image counted once."""

import json

import numpy as np
import pytest
from sklearn import metrics

from mixer_tf.evaluation.classification import (
    ClassMetrics,
    LabeledPrediction,
    Scores,
    evaluate,
    top_ks,
)
from mixer_tf.evaluation.labeled_predictions import LabeledPredictions
from mixer_tf.evaluation.report import Report
from mixer_tf.features import ImageRecord
from mixer_tf.serving import contract

NAMES = [f"class {index}" for index in range(8)]


@pytest.fixture(scope="module")
def predictions() -> tuple[np.ndarray, np.ndarray]:
    """Labels [N] and probabilities float32 [N, 8], some of which are equal."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 7, 200)  # no image of the last class
    values = np.round(random.random((200, 8)) + 0.3 * np.eye(8)[labels], 2)
    return labels, (values / values.sum(1, keepdims=True)).astype(np.float32)


class TablePredictor:
    """LabeledPredictions with the row of a table whose number is the image's bytes."""

    model_dir = "runs/table"

    def __init__(self, class_names, table: np.ndarray):
        self.class_names, self.table = tuple(class_names), table
        self.batch_sizes = []

    def probabilities(self, encoded) -> np.ndarray:
        self.batch_sizes.append(len(encoded))
        return self.table[[int(image) for image in encoded]]


def make_records(class_names) -> list[ImageRecord]:
    """One record for each class; the bytes are the number of the image."""
    return [
        ImageRecord(str(index).encode(), "PNG", 0, name, f"{index}.png", 1, 1)
        for index, name in enumerate(class_names)
    ]


@pytest.fixture(scope="module")
def scores(predictions) -> Scores:
    labels, values = predictions
    records = make_records(NAMES[label] for label in labels)
    (found,) = evaluate([TablePredictor(NAMES, values)], records)
    return found


def test_top_k_accuracy_for_every_k_equals_the_positions_in_a_stable_order(scores, predictions):
    labels, values = predictions
    order = np.argsort(-values, axis=1, kind="stable")  # of equal ones the first, as served
    positions = np.argmax(order == labels[:, None], axis=1)
    for k in range(1, 9):
        assert scores.top(k) == pytest.approx((positions < k).mean())
    assert scores.top_1 == scores.top(1) and scores.top(8) == 1


def test_without_equal_probabilities_top_k_accuracy_equals_scikit_learns(predictions):
    labels, values = predictions
    values = values + np.arange(8, dtype=np.float32) * 1e-6
    records = make_records(NAMES[label] for label in labels)
    (found,) = evaluate([TablePredictor(NAMES, values)], records)
    for k in (1, 3, 5):
        expected = metrics.top_k_accuracy_score(labels, values, k=k, labels=range(8))
        assert found.top(k) == pytest.approx(expected)


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
    assert counts.num_predicted == len(np.unique(values.argmax(1)))
    assert counts.where == "the eval split"


def test_a_class_without_images_or_predictions_has_no_recall():
    assert Scores().by_class(["cat"]) == {"cat": ClassMetrics(0, 0, 0, "")}
    assert Scores().by_class(["cat"])["cat"].recall is None


def test_classes_that_the_model_does_not_know_come_last():
    scores = Scores()
    scores.add(LabeledPrediction("a.png", "horse", "dog", 0.9))
    assert list(scores.by_class(["dog", "cat"])) == ["dog", "cat", "horse"]


@pytest.mark.parametrize("batch_size", [1, 4, 7, 64])
def test_every_image_is_counted_once_for_any_batch_size(predictions, scores, batch_size):
    """The last batch is smaller; no image is dropped, and none is counted for padding."""
    labels, values = predictions
    records = make_records(NAMES[label] for label in labels)
    predictor, progress, kept = TablePredictor(NAMES, values), [], []
    (found,) = evaluate(
        [predictor],
        iter(records),
        batch_size=batch_size,
        progress=progress.append,
        keep=lambda index, record, prediction: kept.append(prediction.image),
    )
    assert sum(predictor.batch_sizes) == 200 and max(predictor.batch_sizes) <= batch_size
    assert kept == [record.source for record in records]
    assert progress[-1] == 200 and len(progress) == -(-200 // batch_size)
    assert (found.images, found.correct, found.ranks) == (200, scores.correct, scores.ranks)
    assert found.confusion == scores.confusion


def test_answers_hold_rank_and_probabilities(predictions):
    labels, values = predictions
    kept = []
    evaluate(
        [TablePredictor(NAMES, values)],
        make_records(NAMES[label] for label in labels[:20]),
        top=3,
        keep=lambda index, record, prediction: kept.append(prediction),
    )
    assert len(kept) == 20
    for label, row, prediction in zip(labels, values, kept, strict=False):
        order = np.argsort(-row, kind="stable")
        assert prediction.top == tuple((NAMES[i], row[i]) for i in order[:3])
        assert (prediction.predicted, prediction.probability) == prediction.top[0]
        assert prediction.rank == 1 + list(order).index(label)
        assert prediction.class_probability == row[label]
        assert prediction.loss == pytest.approx(-np.log(row[label]))


def test_an_unknown_class_has_no_rank():
    kept = []
    predictor = TablePredictor(("cat", "dog"), np.array([[0.25, 0.75]], np.float32))
    (scores,) = evaluate(
        [predictor], make_records(["horse"]), keep=lambda *each: kept.append(each[-1])
    )
    (prediction,) = kept
    assert (prediction.rank, prediction.class_probability, prediction.loss) == (None, None, None)
    assert (scores.correct, scores.top(2), scores.ranks) == (0, 0, {None: 1})


def test_several_models_get_the_same_images(predictions):
    labels, values = predictions
    values = values + np.arange(8, dtype=np.float32) * 1e-6  # without equal ones
    flipped = values[:, ::-1]
    records = make_records(NAMES[label] for label in labels)
    kept = []
    first, second = evaluate(
        [TablePredictor(NAMES, values), TablePredictor(NAMES[::-1], flipped)],
        records,
        batch_size=32,
        keep=lambda index, record, prediction: kept.append((index, prediction)),
    )
    assert first.confusion == second.confusion  # another order of the classes is the same model
    assert [prediction.image for index, prediction in kept if index == 1] == [
        r.source for r in records
    ]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_model_that_returns_no_number_is_refused(value):
    table = np.array([[0.5, 0.5], [value, 0.5]], np.float32)
    with pytest.raises(ValueError, match="runs/table returns NaN or infinity for 1.png"):
        evaluate([TablePredictor(("cat", "dog"), table)], make_records(["cat", "dog"]))


def test_the_number_of_top_classes_is_read_from_the_contract(monkeypatch, predictions, scores):
    labels, values = predictions
    monkeypatch.setattr(contract, "TOP_K", 3)
    report = Report(
        TablePredictor(NAMES, values), "a", ["test"], scores, LabeledPredictions(0), (), 1.0, 3
    )
    count = scores.correct_in_top(3)
    assert f"\ntop-3    {count / 200:.4f}  ({count} of 200)\n" in report.to_text()
    assert "top-5" not in report.to_text()
    figures = json.loads("\n".join(report.to_json()))
    assert figures["top_3"] == pytest.approx(count / 200)
    assert "top_5" not in figures


def test_only_a_top_k_that_says_something_is_shown():
    assert top_ks(10, 5) == [1, 5] and top_ks(10, 3) == [1, 3, 5]
    assert top_ks(5, 5) == [1] and top_ks(1000, 1000) == [1, 5]
