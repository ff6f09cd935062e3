# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import tensorflow as tf

from mixer_tf import factory
from mixer_tf.training import compilation


def test_the_model_is_that_of_the_recipe(recipe):
    changed = recipe.override(
        [
            *("model.dropout=0.25", "model.stochastic_depth=0.5", "model.head_bias_init=-2"),
            *("model.stochastic_depth_rescaled=true", "training.precision=mixed_bfloat16"),
        ]
    )
    model = factory.from_recipe(changed, 5)
    config = model.config
    assert config.image_size == (16, 16) and config.patch_size == 4 and config.num_blocks == 2
    assert config.hidden_dim == config.tokens_mlp_dim == config.channels_mlp_dim == 8
    assert config.dropout == 0.25
    assert config.stochastic_depth == 0.5 and config.stochastic_depth_rescaled
    assert config.num_classes == 5
    assert model.dtype_policy.name == "mixed_bfloat16"
    np.testing.assert_array_equal(model.get_layer("head").bias, np.full(5, -2.0))


@pytest.mark.parametrize(("bias", "loss"), [(-6.9, 7.91), (0.0, 693.1)])
def test_initial_sigmoid_loss_is_that_of_the_authors(recipe, bias, loss):
    """1,000 classes, summed over the classes: 7.91 with the head bias of -6.9, 693 without."""
    changed = recipe.override([f"model.head_bias_init={bias}", "training.loss=sigmoid"])
    model = factory.from_recipe(changed, 1000)
    compilation.compile_model(model, changed, 1, tf.distribute.get_strategy())
    pixels = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)
    labels = tf.one_hot([3, 1, 4, 1], 1000)
    found = model.evaluate(pixels, labels, verbose=0, return_dict=True)["loss"]
    assert found == pytest.approx(loss, abs=0.05)


def test_softmax_loss_takes_mixed_labels(recipe):
    model = factory.from_recipe(recipe, 4)
    compilation.compile_model(model, recipe, 1, tf.distribute.get_strategy())
    pixels = np.zeros((2, 16, 16, 3), np.uint8)
    labels = np.array([[0.7, 0.3, 0, 0], [0, 0, 0, 1.0]], np.float32)
    found = model.evaluate(pixels, labels, verbose=0, return_dict=True)["loss"]
    assert found == pytest.approx(np.log(4), rel=1e-5)  # the head starts at zero


@pytest.mark.parametrize(
    "change",
    [
        pytest.param("training.jit_compile=true", marks=pytest.mark.slow),
        "training.precision=mixed_bfloat16",
    ],
)
def test_top_5_is_counted_where_there_are_more_classes(recipe, change):
    """Ties do not occur: the logits of the random head differ."""
    changed = recipe.override([change])
    model = factory.from_recipe(changed, 9)
    head = model.get_layer("head")
    rng = np.random.default_rng(0)
    head.kernel.assign(rng.normal(size=head.kernel.shape))
    compilation.compile_model(model, changed, 1, tf.distribute.get_strategy())
    pixels = rng.integers(0, 256, (16, 16, 16, 3), dtype=np.uint8)
    labels = rng.integers(0, 9, 16)
    logits = model.predict(pixels, verbose=0)
    best = np.argsort(-logits)[:, :5]
    expected = np.mean([label in row for label, row in zip(labels, best, strict=True)])
    found = model.evaluate(pixels, np.eye(9)[labels], 16, verbose=0, return_dict=True)
    assert 0 < expected < 1 and found["top_5_accuracy"] == pytest.approx(expected)
    history = model.fit(pixels, np.eye(9)[labels], 16, verbose=0).history
    assert history["top_5_accuracy"] == pytest.approx([expected])

    few = factory.from_recipe(changed, 5)
    compilation.compile_model(few, changed, 1, tf.distribute.get_strategy())
    found = few.evaluate(pixels, np.eye(5)[labels % 5], 16, verbose=0, return_dict=True)
    assert "top_5_accuracy" not in found


def test_the_first_step_is_traced_once(recipe):
    """Otherwise the variables of loss and metrics are no longer created beforehand."""
    model = factory.from_recipe(recipe, 3)
    compilation.compile_model(model, recipe, 1, tf.distribute.get_strategy())
    model.optimizer.build(model.trainable_variables)
    batch = (np.zeros((8, 16, 16, 3), np.uint8), np.eye(3, dtype=np.float32)[[0] * 8])
    model.fit(tf.data.Dataset.from_tensors(batch), epochs=2, verbose=0)
    assert model.train_function.experimental_get_tracing_count() == 1
