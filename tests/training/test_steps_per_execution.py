# SPDX-License-Identifier: Apache-2.0
"""Several steps in one execution change neither the weights nor what is reported."""

import numpy as np
import pytest
import tensorflow as tf
from test_train_step import compiled, fit

from mixer_tf.training import compilation
from mixer_tf.training.callbacks import TerminateOnDivergence, Throughput


class Calls(tf.keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.steps = []

    def on_train_batch_end(self, batch, logs=None):
        self.steps.append((batch, int(self.model.optimizer.iterations.numpy())))


def test_the_weights_are_those_of_single_steps(recipe):
    """Three steps of an epoch in executions of two steps: the second one has a single step."""
    # Of tiny gradients, Adam's step would be the sign of a rounding error.
    options = ["optimizer.ema=0.5", "optimizer.epsilon=0.01"]
    model = compiled(recipe, *options, "training.steps_per_execution=2")
    other = compiled(recipe, *options)
    found, expected = fit(model), fit(other)
    for name, values in expected.items():
        assert found[name] == pytest.approx(values, rel=1e-5)
    for value, same in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(value, same, rtol=1e-5, atol=1e-6)
    for value, same in zip(model.optimizer.variables, other.optimizer.variables, strict=True):
        np.testing.assert_allclose(value, same, rtol=1e-5, atol=1e-6)


def test_callbacks_know_the_step(recipe):
    model = compiled(recipe, "training.steps_per_execution=2")
    batch = (np.zeros((8, 16, 16, 3), np.uint8), np.eye(3, dtype=np.float32)[[0] * 8])
    calls = Calls()
    history = model.fit(
        tf.data.Dataset.from_tensors(batch).repeat(),
        epochs=2,
        steps_per_epoch=5,
        callbacks=[Throughput(8), TerminateOnDivergence(), calls],
        verbose=0,
    )
    assert calls.steps == [(1, 2), (3, 4), (4, 5), (1, 7), (3, 9), (4, 10)]
    assert "examples_per_second" in history.history


def test_a_tpu_runs_fifty_steps_at_once_unless_the_recipe_says_otherwise(recipe, monkeypatch):
    class TPU:
        pass

    monkeypatch.setattr(tf.distribute, "TPUStrategy", TPU)
    default = tf.distribute.get_strategy()
    given = recipe.override(["training.steps_per_execution=7"])
    for changed, strategy, expected in (
        (recipe, TPU(), 50),
        (recipe, default, 1),
        (given, TPU(), 7),
        (given, default, 7),
    ):
        assert compilation._steps_per_execution(changed, strategy) == expected
