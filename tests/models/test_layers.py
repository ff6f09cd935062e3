# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import tensorflow as tf
from harness import assert_layer_round_trip

from mixer_tf.models.layers import Conv2D, StochasticDepth
from mixer_tf.models.mlp_mixer import MixerBlock, MlpBlock

LAYERS = [
    MlpBlock(6, dropout=0.1, name="mlp"),
    MixerBlock(6, 10, dropout=0.1, drop_rate=0.2, drop_rescaled=True, name="block"),
    StochasticDepth(0.3, rescaled=True, name="depth"),
    MixerBlock(6, 10, dtype="mixed_bfloat16", name="bfloat16_block"),
]


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_layer_is_the_same_after_a_round_trip(layer, tmp_path):
    assert_layer_round_trip(layer, (5, 8), tmp_path)


def test_new_weights_are_lecun_normal_and_biases_zero():
    layer = MlpBlock(400)
    layer(tf.zeros((1, 300)))
    for dense, inputs in ((layer.dense_0, 300), (layer.dense_1, 400)):
        kernel = dense.kernel.numpy()
        assert kernel.std() == pytest.approx(inputs**-0.5, rel=0.02)
        assert np.abs(kernel).max() <= 2 * inputs**-0.5 / 0.87962566103423978 + 1e-6  # truncated
        assert not dense.bias.numpy().any()


def test_dropout_follows_both_dense_layers_in_training_only():
    layer = MlpBlock(4, dropout=0.25)
    ones = tf.ones((500, 8))
    layer(ones)
    layer.set_weights([np.zeros((8, 4)), np.full(4, 10.0), np.eye(4, 8), np.ones(8)])
    np.testing.assert_allclose(layer(ones)[0], [11, 11, 11, 11, 1, 1, 1, 1], rtol=1e-6)

    y = layer(ones, training=True).numpy()
    kept = 1 / 0.75
    # The first four outputs: dropped at the end, dropped in the middle, or kept twice.
    values = np.unique(np.round(y[:, :4], 3))
    np.testing.assert_allclose(values, [0, kept, (10 * kept + 1) * kept], rtol=1e-3)
    assert (y[:, 4:] == 0).mean() == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize("shape", [(), (2, 3), (2, 3, 2)], ids=str)
@pytest.mark.parametrize(("rescaled", "kept"), [(False, 1.0), (True, 1 / 0.7)])
def test_stochastic_depth_drops_all_values_of_an_example(shape, rescaled, kept):
    layer = StochasticDepth(0.3, rescaled=rescaled)
    y = layer(tf.ones((4000, *shape)), training=True).numpy().reshape(4000, -1)
    assert (y == y[:, :1]).all()
    np.testing.assert_allclose(np.unique(y), [0, kept], rtol=1e-6)
    assert (y[:, 0] == 0).mean() == pytest.approx(0.3, abs=0.03)


def test_stochastic_depth_does_nothing_at_evaluation():
    y = StochasticDepth(0.3, rescaled=True)(tf.ones((4, 2, 3)), training=False)
    np.testing.assert_array_equal(y, np.ones((4, 2, 3)))


def test_the_two_mlps_of_a_block_are_dropped_independently():
    tf.random.set_seed(0)
    layer = MixerBlock(2, 2, drop_rate=0.5)
    x = tf.zeros((2000, 2, 2))
    layer(x)
    layer.set_weights([np.zeros(w.shape) for w in layer.weights])
    layer.token_mixing.dense_1.bias.assign(tf.ones(2))
    layer.channel_mixing.dense_1.bias.assign(tf.fill((2,), 2.0))
    sums = layer(x, training=True).numpy()[:, 0, 0]  # 0, 1, 2 or 3: which of the two were kept
    np.testing.assert_allclose(np.bincount(sums.astype(int)) / 2000, [0.25] * 4, atol=0.04)


def test_each_step_of_a_compiled_function_draws_again():
    draw = tf.function(lambda x: StochasticDepth(0.5)(x, training=True), jit_compile=True)
    x = tf.ones((64, 1, 1))
    assert (draw(x).numpy() != draw(x).numpy()).any()


@pytest.mark.parametrize(
    "kernel_size, strides",
    [((4, 4), (4, 4)), ((4, 2), (4, 2)), ((5, 5), (5, 5)), ((4, 4), (2, 2))],
    ids=["patches", "flat patches", "patches that leave a border", "overlapping patches"],
)
def test_a_convolution_in_16_bits_is_that_of_keras(kernel_size, strides):
    """With numbers of few bits, so that only results are rounded."""
    rng = np.random.default_rng(0)
    images = rng.integers(-3, 4, (2, 12, 16, 3)).astype(np.float32)
    layer = Conv2D(6, kernel_size, strides=strides, dtype="mixed_bfloat16")
    layer.build(images.shape)
    kernel = rng.integers(-1, 2, layer.kernel.shape).astype(np.float32)
    layer.set_weights([kernel, np.arange(6, dtype=np.float32)])
    expected = tf.nn.conv2d(images, kernel, strides, "VALID").numpy() + np.arange(6)
    np.testing.assert_allclose(tf.cast(layer(images), tf.float32), expected, rtol=2**-8)
