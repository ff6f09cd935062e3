# SPDX-License-Identifier: Apache-2.0
"""Label smoothing and class weights against Keras, scikit-learn and numpy."""

import numpy as np
import pytest
import tensorflow as tf
from test_train_step import LABELS, PIXELS, STILL, WEIGHTS, compiled, fit, with_keras_step

from mixer_tf.recipes.schema import TrainingOptions
from mixer_tf.training import compilation, train_step
from mixer_tf.training.class_weights import class_weights, weighted_labels
from mixer_tf.training.input.split import open_splits


def test_smoothed_sigmoid_labels_are_those_of_keras():
    """Keras has the mean over the classes, the paper their sum."""
    rng = np.random.default_rng(0)
    labels = np.eye(5, dtype=np.float32)[[0, 3, 4]]
    logits = rng.normal(size=(3, 5)).astype(np.float32)
    keras = tf.keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.3)
    found = compilation.SigmoidCrossEntropy(0.3)(labels, logits)
    assert float(found) == pytest.approx(5 * float(keras(labels, logits)), rel=1e-6)
    copy = compilation.SigmoidCrossEntropy.from_config(
        compilation.SigmoidCrossEntropy(0.3).get_config()
    )
    assert float(copy(labels, logits)) == float(found)


def test_smoothed_softmax_labels_are_spread_evenly(recipe):
    model = compiled(recipe, "training.label_smoothing=0.3")
    logits = model.predict(PIXELS, verbose=0).astype(np.float64)
    log_probabilities = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    smoothed = LABELS * 0.7 + 0.1
    expected = -(smoothed * log_probabilities).sum(axis=1).mean()
    assert model.evaluate(PIXELS, LABELS, verbose=0)[0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "values", [{"label_smoothing": 1.0}, {"class_weights": "equal"}, {"freeze": " "}], ids=str
)
def test_impossible_values_are_refused(values):
    with pytest.raises(ValueError, match=f"^{next(iter(values))} must be .*; got "):
        TrainingOptions(**values)


def test_balanced_weights_are_those_of_scikit_learn():
    module = pytest.importorskip("sklearn.utils.class_weight")
    labels = np.array([0, 0, 0, 0, 0, 1, 3, 3])  # class 2 has no image
    expected = module.compute_class_weight("balanced", classes=np.array([0, 1, 3]), y=labels)
    found = class_weights("balanced", np.bincount(labels, minlength=4))
    np.testing.assert_allclose(found, np.insert(expected, 2, 0.0))
    assert np.mean(np.array(found)[labels]) == pytest.approx(1)
    assert class_weights(None, None) is None


def test_unknown_counts_are_refused():
    with pytest.raises(ValueError, match="requires the number of training images of each class"):
        class_weights("balanced", None)


FACTORS = (0.3, 7.1, 0.0)


@pytest.mark.parametrize("loss", ["softmax", "sigmoid"])
def test_each_class_of_a_mixed_image_has_its_own_weight_in_the_loss(loss):
    labels = np.array([[0.75, 0.25, 0], [0, 0.5, 0.5], [0, 0, 1]], np.float32)
    logits = np.random.default_rng(0).normal(size=(3, 3)).astype(np.float32)
    losses = {
        "softmax": tf.keras.losses.CategoricalCrossentropy(from_logits=True),
        "sigmoid": compilation.SigmoidCrossEntropy(),
    }[loss]
    shares, totals = weighted_labels(tf.constant(labels), FACTORS, tf.constant([1.0, 0.5, 1.0]))
    found = losses(shares, logits, sample_weight=totals).numpy() * 3
    classes = np.eye(3, dtype=np.float32)
    of_class = [[float(losses(c[None], row[None])) for c in classes] for row in logits]
    expected = np.sum(labels * FACTORS * np.array(of_class) * np.array([[1.0], [0.5], [1.0]]))
    assert found == pytest.approx(expected, rel=1e-5)


def test_the_loss_of_unmixed_images_is_weighted_bit_for_bit():
    labels = tf.one_hot([0, 1, 2, 1], 3)
    shares, totals = weighted_labels(labels, FACTORS, None)
    np.testing.assert_array_equal(totals, np.float32([0.3, 7.1, 0.0, 7.1]))
    np.testing.assert_array_equal(shares[:2], labels[:2])
    np.testing.assert_array_equal(shares[2], np.zeros(3))  # without a weight, it does not matter


def test_labels_of_the_metrics_are_not_weighted(recipe):
    """A mixed image counts for the class that has most of it."""
    labels = np.tile(np.float32([0.6, 0.4, 0]), (len(LABELS), 1))
    histories = []
    for factors in (None, (1.0, 100.0, 1.0)):
        model = compiled(recipe, *STILL)
        train_step.set_train_step(model, class_weights=factors)
        histories.append(model.fit(PIXELS, labels, 8, verbose=0).history["accuracy"])
    assert histories[0] == histories[1]


def test_weighted_classes_train_as_with_keras_class_weight(recipe):
    """With sample weights and in parts; only Keras weights the accuracy of the training as well."""
    factors = (0.5, 1.0, 3.0)
    options = ["optimizer.epsilon=0.01", "training.accumulation_steps=2"]
    ours = compiled(recipe, *options)
    train_step.set_train_step(ours, accumulation_steps=2, class_weights=factors)
    found = fit(ours, WEIGHTS)
    keras = with_keras_step(compiled(recipe, *options))
    batches = tf.data.Dataset.from_tensor_slices((PIXELS, LABELS, WEIGHTS)).batch(8, True)
    classes = dict(enumerate(factors))
    expected = keras.fit(batches, epochs=2, verbose=0, class_weight=classes).history
    assert found["loss"] == pytest.approx(expected["loss"], rel=1e-5)
    for weight, same in zip(ours.get_weights(), keras.get_weights(), strict=True):
        np.testing.assert_allclose(weight, same, rtol=1e-4, atol=1e-5)


def test_splits_know_the_counts_of_their_classes(dataset):
    splits = open_splits(dataset.folder, dataset.info)
    for name, split in splits.items():
        assert split.class_counts == tuple(dataset.info.counts[name].values())
