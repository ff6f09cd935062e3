# SPDX-License-Identifier: Apache-2.0
"""GELU, and a gradient that keeps only its input and runs as one pass over the memory on CPUs.

TensorFlow computes both in about 20 operations, each of which reads and writes the whole tensor,
and keeps five tensors for the gradient. XLA makes one pass of each direction.
"""

from __future__ import annotations

import functools
import math

import tensorflow as tf

from mixer_tf import library_messages

# tanh approximation: x/2 · (1 + tanh(√(2/π)·(x + 0.044715·x³))), Hendrycks & Gimpel, 2016.
_SCALE = math.sqrt(2 / math.pi)
_CUBIC = 0.044715


def gelu(x: tf.Tensor, approximate: bool = True, training: bool | None = None) -> tf.Tensor:
    """tf.nn.gelu, with the gradient of this module in a training step.

    Shape: [...] -> [...].

    Args:
        x: a floating-point tensor. In 16 bits, the gradient is computed in float32.
        approximate: compute it with tanh instead of the error function.
        training: whether a training step calls it. An exported model has TensorFlow's operations
            only, since it must run where there is no XLA.
    """
    if training is not True:
        return tf.nn.gelu(x, approximate=approximate)
    compiled = _can_compile()
    forward, backward = (_forward, _backward) if compiled else (tf.nn.gelu, _gradient)

    @tf.custom_gradient
    def function(x):
        return forward(x, approximate), lambda upstream: backward(x, upstream, approximate)

    return function(x)


def _gradient(x: tf.Tensor, upstream: tf.Tensor, approximate: bool) -> tf.Tensor:
    dtype = x.dtype
    x, upstream = tf.cast(x, tf.float32), tf.cast(upstream, tf.float32)
    if approximate:
        squared = x * x
        cumulative = (1 + tf.tanh(_SCALE * x * (1 + _CUBIC * squared))) / 2
        density = 2 * _SCALE * cumulative * (1 - cumulative) * (1 + 3 * _CUBIC * squared)
    else:
        cumulative = tf.math.erfc(-math.sqrt(0.5) * x) / 2
        density = tf.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    return tf.cast(upstream * (cumulative + x * density), dtype)


_compiled = functools.partial(tf.function, jit_compile=True, autograph=False)
_forward = _compiled(tf.nn.gelu)
_backward = _compiled(_gradient)


@functools.cache
def _can_compile() -> bool:
    """Whether the devices are CPUs, and TensorFlow has XLA; on GPUs it needs more than a driver."""
    if any(device.device_type != "CPU" for device in tf.config.list_logical_devices()):
        return False
    # XLA says once per process that it has compiled something.
    with tf.init_scope(), library_messages.capture():
        try:
            _forward(tf.zeros([1]), True)
        except tf.errors.OpError:  # The TensorFlow of some platforms has no XLA.
            return False
    return True
