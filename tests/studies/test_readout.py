# SPDX-License-Identifier: Apache-2.0
"""The read-out of a study: features of every image once, and the linear probe by scikit-learn."""

import harness
import numpy as np
import pytest
from sklearn.linear_model import Ridge

from mixer_tf import factory
from mixer_tf.images.preprocessing import decode_and_crop
from mixer_tf.studies import readout
from mixer_tf.training.input.split import open_splits


def make_features(classes: int, per_class: int, width: int, seed: int = 0):
    """Gaussian clusters around random centers."""
    rng = np.random.default_rng(seed)
    centers = np.random.default_rng(99).normal(size=(classes, width))
    labels = np.repeat(np.arange(classes), per_class)
    return (centers[labels] + rng.normal(size=(len(labels), width))).astype(np.float32), labels


@pytest.mark.parametrize(("width", "shots"), [(7, 5), (60, 5), (15, 4), (5, 1)])
def test_the_probe_of_each_seed_is_a_ridge_regression_on_whitened_features(width, shots):
    features, labels = make_features(4, 9, width)
    test_features, test_labels = make_features(4, 40, width, seed=1)
    rng = np.random.default_rng(2)
    rows = np.concatenate([rng.permutation(np.flatnonzero(labels == c))[:shots] for c in range(4)])
    chosen = features[rows].astype(np.float64)
    mean, deviation = chosen.mean(0), chosen.std(0) + 1e-5

    def inputs(x):
        return np.column_stack([(x - mean) / deviation, np.full(len(x), 100.0)])

    ridge = Ridge(alpha=2.0**10, fit_intercept=False, solver="svd")
    ridge.fit(inputs(chosen), 2 * np.eye(4)[labels[rows]] - 1)
    expected = np.mean(np.argmax(ridge.predict(inputs(test_features)), 1) == test_labels)
    train, test = (
        readout.Features(values, np.zeros(len(values)), numbers)
        for values, numbers in ((features, labels), (test_features, test_labels))
    )
    found = readout.few_shot_accuracies(train, test, shots, (1, 2))
    assert len(found) == 2
    assert found[1] == pytest.approx(expected) and 0.3 < expected <= 1


def test_the_features_of_a_split_are_those_of_its_images_without_padding(dataset, recipe):
    model = harness.randomize(factory.from_recipe(recipe, 3))
    split = open_splits(dataset.folder, dataset.info)["eval"]
    found = readout.compute_features(model, recipe, split)
    records = [harness.make_record(index) for index in range(30, 43)]
    by_label = sorted(found.labels.tolist())
    assert by_label == sorted(record.label for record in records)
    images = np.stack([decode_and_crop(r.encoded, recipe.data.crop, 16).numpy() for r in records])
    outputs = model.intermediates("pre_logits", "logits")(images)
    expected = sorted(outputs["pre_logits"].numpy().tolist())
    np.testing.assert_allclose(sorted(found.pre_logits.tolist()), expected, rtol=1e-5)
    labels = np.array([record.label for record in records])
    answers = np.argmax(outputs["logits"], axis=1)
    assert found.accuracy == pytest.approx(np.mean(answers == labels))


def test_classes_with_too_few_images_are_named():
    counts = {"cat": 4, "dog": 5, "elk": 0, "fox": 1}
    with pytest.raises(ValueError, match=r"5-shot read-out; too few have cat \(4\), fox \(1\)\."):
        readout.require_shots(counts, 5, "eval split")
    readout.require_shots({"cat": 5, "elk": 0}, 5, "eval split")
