# SPDX-License-Identifier: Apache-2.0
"""The gradients of each kind of layer in each precision, against those in float64."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from mixer_tf.models.ablations import TokenMixing
from mixer_tf.models.bit import BottleneckUnit, GroupNorm, StandardizedConv2D
from mixer_tf.models.layers import Conv2D, Dense, EinsumDense, LayerNorm
from mixer_tf.models.mlp_mixer import MixerBlock, MlpBlock
from mixer_tf.models.vit import ClassToken, EncoderBlock, PositionEmbedding, SelfAttention

# In 16 bits, a block rounds several times on the way to its first weights.
LIMITS = {"float32": 1e-5, "mixed_bfloat16": 0.01, "mixed_float16": 0.01}
BLOCK_LIMIT = 0.02

# Layer -> shape of its input, of 12,500 rows and more.
LAYERS = {
    "dense": (lambda dtype: Dense(8, dtype=dtype), (50_000, 6)),
    "dense of tokens": (lambda dtype: Dense(8, dtype=dtype), (1_000, 50, 6)),
    "stem": (lambda dtype: Conv2D(8, 4, strides=4, dtype=dtype), (800, 16, 16, 3)),
    "untied dense": (
        lambda dtype: EinsumDense("ncs,csd->ncd", output_shape=(4, 8), bias_axes="cd", dtype=dtype),
        (12_500, 4, 6),
    ),
    "layer norm": (lambda dtype: LayerNorm(dtype=dtype), (1_000, 50, 6)),
    "group norm": (
        lambda dtype: GroupNorm(2, dtype=keras.mixed_precision.Policy(dtype).variable_dtype),
        (50, 16, 16, 8),
    ),
    "standardized convolution": (
        lambda dtype: StandardizedConv2D(8, 3, dtype=dtype),
        (50, 16, 16, 3),
    ),
    "class token": (lambda dtype: ClassToken(dtype=dtype), (12_500, 2, 4)),
    "position embedding": (lambda dtype: PositionEmbedding(dtype=dtype), (12_500, 2, 4)),
    "mlp": (lambda dtype: MlpBlock(8, dtype=dtype), (1_000, 50, 6)),
    "token mixing": (
        lambda dtype: TokenMixing(8, groups=2, views=True, untied=True, dtype=dtype),
        (5_000, 6, 5),
    ),
    "attention": (lambda dtype: SelfAttention(2, dtype=dtype), (2_500, 5, 8)),
    "mixer block": (lambda dtype: MixerBlock(8, 10, dtype=dtype), (2_500, 5, 8)),
    "encoder block": (lambda dtype: EncoderBlock(2, 10, dtype=dtype), (2_500, 5, 8)),
    "bottleneck unit": (
        lambda dtype: BottleneckUnit(4, num_groups=2, dtype=dtype),
        (50, 16, 16, 8),
    ),
}


def gradients(create, shape, dtype, scale=1.0):
    """The gradient of a weighted sum of the outputs: name of a weight -> array.

    `scale` multiplies the sum, as training does for float16, and divides the gradients.
    """
    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(size=shape), dtype if dtype == "float64" else "float32")
    layer = create(dtype)
    layer(x[:1])
    layer.set_weights([rng.normal(0, 0.5, w.shape) for w in layer.get_weights()])
    with tf.GradientTape() as tape:
        y = tf.cast(layer(x), x.dtype)
        total = scale * tf.reduce_mean(y * rng.uniform(0, 2, y.shape))
    found = tape.gradient(total, layer.trainable_variables)
    names = [variable.name.partition("/")[2] for variable in layer.trainable_variables]
    arrays = [gradient.numpy().astype(np.float64) / scale for gradient in found]
    return dict(zip(names, arrays, strict=True))


@functools.cache
def gradients_in_float64(name):
    return gradients(*LAYERS[name], "float64")


def error(found, expected) -> float:
    """The norm of the difference, relative to that of the expected gradient."""
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


@pytest.mark.parametrize("precision", LIMITS)
@pytest.mark.parametrize("name", LAYERS)
def test_gradients_equal_those_of_float64(name, precision):
    """The bias of attention's keys is left out: its gradient is 0, or rounding error."""
    create, shape = LAYERS[name]
    scale = 2.0**14 if precision == "mixed_float16" else 1.0
    found = gradients(create, shape, precision, scale)
    expected = gradients_in_float64(name)
    limit = LIMITS[precision]
    if name == "bottleneck unit" and precision != "float32":
        limit = BLOCK_LIMIT
    errors = {key: error(found[key], expected[key]) for key in expected if "key/bias" not in key}
    assert {key: value for key, value in errors.items() if value > limit} == {}


@pytest.mark.parametrize("compile_it", [False, True], ids=["graph", "XLA"])
def test_the_gradient_of_a_bias_is_the_sum_over_the_rows(compile_it):
    upstream = np.random.default_rng(0).uniform(0, 2, (50_000, 3)).astype(np.float32)
    layer = Dense(3, dtype="mixed_bfloat16")
    layer.build((None, 2))

    @tf.function(jit_compile=compile_it)
    def gradient():
        with tf.GradientTape() as tape:
            y = layer(tf.zeros((50_000, 2)))
        return tape.gradient(y, layer.bias, output_gradients=tf.cast(upstream, y.dtype))

    np.testing.assert_allclose(gradient(), upstream.sum(axis=0), rtol=0.005)


def test_in_float32_the_layers_are_those_of_keras():
    """So that exports and other programs need nothing of this project."""
    for dtype in (None, "float32", keras.mixed_precision.Policy("float32")):
        assert type(Dense(2, dtype=dtype)) is keras.layers.Dense
        assert type(Conv2D(2, 3, dtype=dtype)) is keras.layers.Conv2D
        einsum = EinsumDense("ab,bc->ac", output_shape=(2,), dtype=dtype)
        assert type(einsum) is keras.layers.EinsumDense
