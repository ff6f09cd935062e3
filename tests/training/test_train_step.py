# SPDX-License-Identifier: Apache-2.0
"""The train step against Keras' own, and the gradient norm against one computed by hand."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from mixer_tf import factory
from mixer_tf.training import compilation, train_step
from mixer_tf.training.autograph import without_autograph

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (24, 16, 16, 3), dtype=np.uint8)
LABELS = np.eye(3, dtype=np.float32)[RNG.integers(0, 3, 24)]
WEIGHTS = RNG.uniform(0, 2, 24).astype(np.float32)
STILL = ("optimizer.learning_rate=1e-12", "optimizer.weight_decay=0")  # the weights do not change
OPTIONS = ("model.num_blocks=1", "optimizer.warmup_steps=0", "optimizer.schedule=constant")


def compiled(recipe, *changes):
    """A compiled model whose weights, the head included, are not zero."""
    changed = recipe.override([*OPTIONS, *changes])
    tf.keras.utils.set_random_seed(0)
    model = factory.from_recipe(changed, 3)
    rng = np.random.default_rng(1)
    model.set_weights([rng.normal(0, 0.3, w.shape) for w in model.get_weights()])
    compilation.compile_model(model, changed, 9, tf.distribute.get_strategy())
    return model


def fit(model, weights=None, epochs=2):
    """Three steps in each epoch; returns the logs."""
    data = (PIXELS, LABELS) if weights is None else (PIXELS, LABELS, weights)
    batches = tf.data.Dataset.from_tensor_slices(data).batch(8, drop_remainder=True)
    return model.fit(batches, epochs=epochs, verbose=0).history


def with_keras_step(model):
    model.train_step = without_autograph(type(model).train_step.__get__(model))
    return model


CLIPPING = ["optimizer.clip_norm=0.01"]
AVERAGE = ["optimizer.clip_norm=none", "optimizer.ema=0.5", "optimizer.name=momentum"]
FLOAT16 = ["training.precision=mixed_float16", "optimizer.clip_norm=0.1"]
JIT = ["training.jit_compile=true"]


@pytest.mark.parametrize(
    ("changes", "weights"),
    [
        pytest.param(CLIPPING, None, id="clipping"),
        pytest.param(CLIPPING, WEIGHTS, id="clipping, sample weights"),
        pytest.param(AVERAGE, None, id="average"),
        pytest.param(FLOAT16, WEIGHTS, id="float16, sample weights"),
        pytest.param(JIT, None, id="jit", marks=pytest.mark.slow),
        pytest.param(JIT, WEIGHTS, id="jit, sample weights", marks=pytest.mark.slow),
    ],
)
def test_the_weights_are_those_of_keras_own_step(recipe, changes, weights):
    ours, keras = compiled(recipe, *changes), with_keras_step(compiled(recipe, *changes))
    found, expected = fit(ours, weights), fit(keras, weights)
    assert set(found) == {*expected, "gradient_norm"}
    for name, values in expected.items():
        assert found[name] == pytest.approx(values, rel=1e-6)
    for weight, same in zip(ours.get_weights(), keras.get_weights(), strict=True):
        np.testing.assert_allclose(weight, same, rtol=1e-6, atol=1e-7)
    for slot, same in zip(ours.optimizer.variables, keras.optimizer.variables, strict=True):
        np.testing.assert_allclose(slot, same, rtol=1e-6, atol=1e-7)


def norm_by_hand(model, pixels, labels, weights=None) -> float:
    """The norm for the mean cross-entropy, summed over the examples and divided by their number."""
    weights = np.ones(len(pixels), np.float32) if weights is None else weights
    with tf.GradientTape() as tape:
        losses = tf.nn.softmax_cross_entropy_with_logits(labels, model(pixels, training=False))
        loss = tf.reduce_sum(losses * weights) / len(pixels)
    gradients = tape.gradient(loss, model.trainable_variables)
    squares = [np.sum(np.square(gradient.numpy().astype(np.float64))) for gradient in gradients]
    return np.sqrt(np.sum(squares))


@pytest.mark.parametrize(
    ("clip_norm", "weights"), [("none", None), ("0.001", WEIGHTS)], ids=["plain", "sample weights"]
)
def test_the_norm_is_that_of_the_gradient_before_clipping(recipe, clip_norm, weights):
    model = compiled(recipe, f"optimizer.clip_norm={clip_norm}", *STILL)
    model.optimizer.build(model.trainable_variables)
    parts = [slice(0, 8), slice(8, 16), slice(16, 24)]
    expected = [
        norm_by_hand(model, PIXELS[p], LABELS[p], None if weights is None else weights[p])
        for p in parts
    ]
    found = fit(model, weights)["gradient_norm"]
    assert found == pytest.approx([np.mean(expected)] * 2, rel=1e-4)  # the same in both epochs


def test_the_norm_is_that_of_the_unscaled_gradient(recipe):
    """Float16 multiplies the loss by 2**15 at the start; overflowing steps do not count."""
    changes = ["optimizer.clip_norm=none", *STILL]
    half = compiled(recipe, *changes, "training.precision=mixed_float16")
    found = fit(half)["gradient_norm"]
    assert found == pytest.approx(fit(compiled(recipe, *changes))["gradient_norm"], rel=0.02)


def test_only_for_float16_overflowing_steps_do_not_count():
    """Its optimizer skips them; elsewhere, a gradient that is not finite must be seen."""
    sgd = tf.keras.optimizers.SGD()
    for optimizer, expected in (
        (tf.keras.mixed_precision.LossScaleOptimizer(sgd), 2.0),
        (sgd, float("inf")),
    ):
        norms = tf.keras.metrics.Mean()
        for norm in (float("inf"), 1.0, 3.0):
            train_step._count(tf.constant(norm), optimizer, norms)
        assert float(norms.result()) == expected


def test_evaluation_reports_no_norm(recipe):
    model = compiled(recipe)
    fit(model)
    found = model.evaluate(PIXELS, LABELS, verbose=0, return_dict=True)
    assert set(found) == {"loss", "accuracy"}
    assert train_step.GRADIENT_NORM not in {weight.name for weight in model.weights}
    assert len(model.get_weights()) == len(model.trainable_variables)


_TWO_DEVICES = """
import json, sys
import numpy as np
import tensorflow as tf
from mixer_tf import factory
from mixer_tf.recipes import Recipe
sys.path += ["tests", "tests/training"]
import test_train_step as tests
from mixer_tf.training import compilation

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
recipe = Recipe.from_json(sys.stdin.read())
results = []
for step in (lambda model: model, tests.with_keras_step):
    with strategy.scope():
        model = step(tests.compiled(recipe, "optimizer.clip_norm=0.01", "optimizer.ema=0.5"))
    logs = tests.fit(model)
    results.append((logs, [weight.tolist() for weight in model.get_weights()]))
print(json.dumps(results))
"""


@pytest.mark.slow
def test_two_devices_take_the_same_steps(recipe):
    """Each has half of the batch; the norm is that of the sum of their gradients."""
    done = subprocess.run(
        [sys.executable, "-c", _TWO_DEVICES],
        input=recipe.to_json(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    ours, keras = json.loads(done.stdout.splitlines()[-1])
    alone = compiled(recipe, "optimizer.clip_norm=0.01", "optimizer.ema=0.5")
    logs = fit(alone)
    assert ours[0]["gradient_norm"] == pytest.approx(logs["gradient_norm"], rel=1e-4)
    assert ours[0]["loss"] == pytest.approx(keras[0]["loss"], rel=1e-6)
    for weight, same, single in zip(ours[1], keras[1], alone.get_weights(), strict=True):
        np.testing.assert_allclose(weight, same, rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(weight, single, atol=1e-3)
