# SPDX-License-Identifier: Apache-2.0
"""GELU and its gradient, in every precision, against float64."""

import numpy as np
import pytest
import tensorflow as tf

from mixer_tf.models.gelu import gelu

# Of the largest value, and of 1 for the gradient: of float32 and its tanh, and of 16 bits.
TOLERANCES = {"float32": 5e-6, "bfloat16": 2**-8, "float16": 2**-10}


@tf.function(autograph=False)
def value_and_gradient(x, approximate, training):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = gelu(x, approximate, training)
    return y, tape.gradient(y, x)


@pytest.mark.parametrize("approximate", [True, False])
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_the_gradient_is_that_of_float64(dtype, approximate):
    x = tf.cast(np.linspace(-7, 7, 10_001), dtype)
    y, gradient = value_and_gradient(x, approximate, training=True)
    assert y.dtype == gradient.dtype == dtype

    exact = tf.cast(x, tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(exact)
        expected = tf.nn.gelu(exact, approximate=approximate)
    expected_gradient = tape.gradient(expected, exact)
    tolerance = TOLERANCES[dtype]
    np.testing.assert_allclose(tf.cast(gradient, tf.float64), expected_gradient, atol=tolerance)
    np.testing.assert_allclose(tf.cast(y, tf.float64), expected, rtol=0, atol=3 * tolerance)


def test_the_extremes_have_finite_gradients():
    x = tf.constant([-1e18, -100.0, 0.0, 100.0, 1e18])
    for approximate in (True, False):
        y, gradient = value_and_gradient(x, approximate, training=True)
        np.testing.assert_allclose(gradient, [0, 0, 0.5, 1, 1], atol=1e-6)
        np.testing.assert_allclose(y / x, [0, 0, np.nan, 1, 1], atol=1e-6)


def test_only_a_training_step_is_compiled():
    """An exported model must run in servers and converters that have no XLA."""

    def is_compiled(training):
        x = tf.TensorSpec([2, 3])
        graph = value_and_gradient.get_concrete_function(x, True, training).graph
        functions = graph.as_graph_def().library.function
        return any("_XlaMustCompile" in function.attr for function in functions)

    assert is_compiled(True)
    assert not is_compiled(False)
    assert not is_compiled(None)
