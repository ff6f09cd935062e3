# SPDX-License-Identifier: Apache-2.0
"""The few-shot probe against ridge regression by its normal equations, in float64."""

import numpy as np
import pytest

from mixer_tf.evaluation import fewshot
from mixer_tf.evaluation.fewshot import Features


def make_features(num_images: int, dim: int, num_classes: int, seed: int = 0) -> Features:
    """Noisy clusters with different scales of each feature, one of which is constant."""
    rng = np.random.default_rng(seed)
    centers = np.random.default_rng(99).normal(size=(num_classes, dim))
    labels = rng.permutation(np.arange(num_images) % num_classes)
    values = (centers[labels] + 2 * rng.normal(size=(num_images, dim))) * np.arange(1, dim + 1)
    values[:, 0] = 7
    return Features(values.astype(np.float32), labels)


def ridge(x: np.ndarray, labels: np.ndarray, num_classes: int, test: np.ndarray) -> np.ndarray:
    """The scores of the test features, by the definition of the protocol."""
    x, test = np.array(x, np.float64), np.array(test, np.float64)
    mean = x.sum(0) / len(x)
    deviation = np.sqrt(((x - mean) ** 2).sum(0) / len(x)) + 1e-5
    x, test = ((each - mean) / deviation for each in (x, test))
    x, test = (np.c_[each, np.full(len(each), 100.0)] for each in (x, test))
    targets = np.full((len(x), num_classes), -1.0)
    targets[np.arange(len(x)), labels] = 1
    return test @ np.linalg.solve(x.T @ x + 1024 * np.eye(x.shape[1]), x.T @ targets)


@pytest.mark.parametrize(
    ("num_images", "dim"),
    [(300, 12), (20, 64), (33, 32), (32, 32)],
    ids=["N>D", "N<D", "N=D+1", "N=D"],
)
def test_scores_and_predictions_are_those_of_ridge_regression(num_images, dim):
    train, test = make_features(num_images, dim, 5), make_features(500, dim, 5, seed=1)
    expected = ridge(train.values, train.labels, 5, test.values)
    probe = fewshot.fit(train, 5)
    np.testing.assert_allclose(probe.scores(test.values), expected, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(probe.predict(test.values), expected.argmax(1))
    assert len(set(expected.argmax(1))) >= 4  # or the predictions would say little


def test_a_class_without_images_keeps_its_column_and_is_never_predicted():
    train = make_features(60, 8, 3)
    probe = fewshot.fit(train, 4)
    expected = ridge(train.values, train.labels, 4, train.values)
    np.testing.assert_allclose(probe.scores(train.values), expected, rtol=0, atol=1e-6)
    assert 3 not in probe.predict(train.values)


def test_shots_are_the_first_of_one_permutation_for_each_class_in_label_order():
    labels = np.array([1, 0, 1, 2, 0, 1, 2, 0])
    rng = np.random.default_rng(2)
    expected = [rng.permutation([1, 4, 7]), rng.permutation([0, 2, 5]), rng.permutation([3, 6])]
    for found, wanted in zip(fewshot.draw_order(labels, 3, 2), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_the_accuracies_are_those_of_ridge_regression_on_the_drawn_images():
    train, test = make_features(200, 10, 4), make_features(300, 10, 4, seed=1)
    results = fewshot.evaluate(train, test, 4, shots=(1, 5), seeds=(0, 1, 2))
    for result in results:
        expected = []
        for seed in (0, 1, 2):
            rng = np.random.default_rng(seed)
            rows = [
                rng.permutation(np.where(train.labels == label)[0])[: result.shots]
                for label in range(4)
            ]
            rows = np.concatenate(rows)
            scores = ridge(train.values[rows], train.labels[rows], 4, test.values)
            expected.append((scores.argmax(1) == test.labels).mean())
        assert result.accuracies == pytest.approx(expected, abs=1e-12)
        assert result.images == 4 * result.shots
        assert result.mean == pytest.approx(sum(expected) / 3)
        variance = sum((value - sum(expected) / 3) ** 2 for value in expected) / 2
        assert result.deviation == pytest.approx(variance**0.5)
    assert results[1].mean > results[0].mean
    (single,) = fewshot.evaluate(train, test, 4, shots=(1,), seeds=(0,))
    assert single.deviation is None and single.to_dict()["standard_deviation"] is None


def test_small_classes_give_all_they_have_and_are_named():
    values = np.random.default_rng(0).normal(size=(9, 4))
    train = Features(values, np.array([0, 0, 0, 0, 0, 1, 1, 3, 3]))
    test = Features(values[:4], np.array([0, 1, 2, 2]))
    (result,) = fewshot.evaluate(train, test, 4, shots=(3,), seeds=(0,))
    assert result.images == 3 + 2 + 2
    assert fewshot.notes(train, test, ("a", "b", "c", "d"), (1, 3)) == [
        "classes without a training image: 'c'; their 2 test images count as wrong",
        "3 shots: classes with fewer training images, all of which are used: 'b', 'd'",
    ]
    assert fewshot.possible_shots(train, 4, (1, 5, 6)) == [1, 5]


def test_what_is_not_possible_is_refused():
    train = make_features(10, 4, 2)
    empty = Features(np.zeros((0, 4)), np.zeros(0, int))
    with pytest.raises(ValueError, match="largest class, which are 5; got 25. Leave it"):
        fewshot.evaluate(train, train, 2, shots=(1, 25))
    with pytest.raises(ValueError, match="must be at least 1; got 0"):
        fewshot.evaluate(train, train, 2, shots=(0,))
    with pytest.raises(ValueError, match="must have training images"):
        fewshot.evaluate(empty, train, 2)
    with pytest.raises(ValueError, match="must have test images"):
        fewshot.evaluate(train, empty, 2, shots=(1,))
    with pytest.raises(ValueError, match=r"got \[10, 4\] and \[9\]"):
        Features(train.values, train.labels[:9])
