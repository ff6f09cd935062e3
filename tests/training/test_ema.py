# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import tensorflow as tf

from mixer_tf import factory
from mixer_tf.training import compilation, ema
from mixer_tf.training.ema import averaged_weights

PIXELS = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3), dtype=np.uint8)
LABELS = np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 1, 2, 0, 1]]


def trained(recipe, *changes):
    changed = recipe.override(["optimizer.warmup_steps=0", *changes])
    model = factory.from_recipe(changed, 3)
    compilation.compile_model(model, changed, 4, tf.distribute.get_strategy())
    for _ in range(3):
        model.train_on_batch(PIXELS, LABELS)
    return model


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_the_average_replaces_the_weights_within_the_block(recipe, precision):
    model = trained(recipe, "optimizer.ema=0.5", f"training.precision={precision}")
    own = model.get_weights()
    with averaged_weights(model):
        average = model.get_weights()
    assert any(np.any(a != b) for a, b in zip(own, average, strict=True))
    for weight, before in zip(model.get_weights(), own, strict=True):
        np.testing.assert_array_equal(weight, before)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_a_model_is_traced_once(recipe, precision):
    """Each evaluation swaps twice; what every trace keeps would fill the memory."""
    model = trained(recipe, "optimizer.ema=0.5", f"training.precision={precision}")
    ema.swap_ema_weights(model)
    traces = ema._swap.experimental_get_tracing_count()
    for _ in range(3):
        ema.swap_ema_weights(model)
    assert ema._swap.experimental_get_tracing_count() == traces


def test_the_weights_return_even_after_an_error(recipe):
    model = trained(recipe, "optimizer.ema=0.5")
    own = model.get_weights()
    with pytest.raises(RuntimeError), averaged_weights(model):
        raise RuntimeError
    for weight, before in zip(model.get_weights(), own, strict=True):
        np.testing.assert_array_equal(weight, before)


def test_without_an_average_nothing_changes(recipe):
    model = trained(recipe, "optimizer.ema=0")
    own = model.get_weights()
    with averaged_weights(model):
        for weight, before in zip(model.get_weights(), own, strict=True):
            np.testing.assert_array_equal(weight, before)
