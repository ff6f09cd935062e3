# SPDX-License-Identifier: Apache-2.0
"""Blocks that are computed twice: the same gradients, with less memory."""

import numpy as np
import pytest
import tensorflow as tf
from harness import TINY_BIT, TINY_MIXER, TINY_VIT
from test_kept_activations import kept_by_tensorflow

from mixer_tf import recipes
from mixer_tf.factory import create_model
from mixer_tf.models import costs
from mixer_tf.models.noise import step_noise
from mixer_tf.models.recomputation import recomputing

_NOISE = {"dropout": 0.2, "stochastic_depth": 0.5}
_MIXER = dict(name="mixer", **TINY_MIXER)
_VIT = dict(name="vit", **TINY_VIT)
_BIT = dict(name="bit", **TINY_BIT)
_ABLATION = {"channel_groups": 2, "channel_views": True, "pyramid": (12, 6, 6)}


def gradients(model, recompute: bool):
    pixels = np.random.default_rng(0).integers(0, 256, (6, *model.input_shape[1:]))

    @tf.function
    def compute():
        noise = step_noise(3, tf.constant(7, tf.int64))
        with recomputing(recompute), noise, tf.GradientTape() as tape:
            logits = model(tf.constant(pixels, tf.float32), training=True)
            loss = tf.reduce_sum(tf.cast(logits, tf.float32) ** 2)
        return tape.gradient(loss, model.trainable_variables)

    return compute()


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize(
    "fields", [_MIXER, {**_MIXER, **_ABLATION}, _VIT, _BIT], ids=["mixer", "ablation", "vit", "bit"]
)
def test_gradients_and_noise_are_the_same(fields, precision):
    tf.keras.utils.set_random_seed(1)
    model = create_model(**fields, **_NOISE, dtype=precision)
    for weight in model.trainable_variables:  # the head starts with zeros
        weight.assign(tf.random.normal(weight.shape, stddev=0.3))
    expected = gradients(model, False)
    for one, other in zip(gradients(model, True), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5 * np.abs(other).max())
    assert max(np.abs(gradient).max() for gradient in expected) > 0


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("fields", [_MIXER, _VIT, _BIT], ids=["mixer", "vit", "bit"])
def test_what_is_kept_are_the_inputs_of_blocks(fields, precision):
    model = create_model(**fields, dtype=precision)
    with recomputing():
        found = kept_by_tensorflow(model)
    layers = costs.layers(model.config)
    inputs = sum(layer.block_input for layer in layers)
    outside = sum(layer.kept_in(precision) for layer in layers if not layer.is_in_block)
    value = 4 if precision == "float32" else 2
    assert outside + value * inputs == pytest.approx(found, rel=0.05)
    one_block = costs.recomputed_bytes(model.config, precision) - outside - value * inputs
    assert 0 < one_block < costs.kept_bytes(model.config, precision) - outside


def test_the_paper_s_large_models_keep_a_sixth_at_most():
    for name in ("pretrain_jft_l16", "pretrain_jft_h14"):
        config = recipes.get(name).model.config(num_classes=1000)
        assert costs.recomputed_bytes(config) < costs.kept_bytes(config) / 6
