# SPDX-License-Identifier: Apache-2.0
"""What MLP-Mixer, ViT and BiT share: Flax's defaults for Keras layers, and layers with noise.

In 16 bits, the gradients of biases are summed in float32.
"""

from __future__ import annotations

import functools
import inspect

import tensorflow as tf
from tensorflow import keras

from mixer_tf.models import noise

# The only code that maps pixel values 0 to 255 to what a network is trained on: [-1, 1].
Rescale = functools.partial(keras.layers.Rescaling, 1 / 127.5, offset=-1, name="rescale")

serializable = keras.saving.register_keras_serializable("mixer_tf")


@tf.custom_gradient
def _add_in_16_bits(x, parameter):
    def gradient(upstream):
        exact = tf.cast(upstream, tf.float32)
        first = exact.shape.rank - parameter.shape.rank
        ones = [first + i for i, size in enumerate(parameter.shape) if size == 1]
        total = tf.reduce_sum(exact, [*range(first), *ones])
        return upstream, tf.cast(tf.reshape(total, parameter.shape), parameter.dtype)

    return x + parameter, gradient


def add_parameter(x, parameter):
    """x + parameter; in 16 bits, the gradient of the parameter is summed in float32.

    TensorFlow sums it in the type of x: on a CPU, the gradient of a bias is off by 17 % after
    12,500 rows of bfloat16 and by 60 % after 50,000, because small terms no longer count.

    Shape: [N, ..., D] and the last axes of it, each of which may be 1 -> [N, ..., D].
    """
    parameter = tf.cast(parameter, x.dtype)
    return x + parameter if x.dtype.size > 2 else _add_in_16_bits(x, parameter)


@serializable
class Dense16Bit(keras.layers.Dense):
    """Keras' Dense, whose bias is added by `add_parameter`.

    Shape: [N, ..., inputs] -> [N, ..., units].
    """

    def call(self, x):
        y = tf.tensordot(tf.cast(x, self.compute_dtype), self.kernel, 1)
        return self.activation(add_parameter(y, self.bias) if self.use_bias else y)


@serializable
class Conv2D16Bit(keras.layers.Conv2D):
    """Keras' Conv2D without groups, whose bias is added by `add_parameter`.

    Patches that do not overlap are multiplied as a matrix: on a CPU, a training step of such a
    convolution in bfloat16 takes twice as long.

    Shape: [N, H, W, channels] -> [N, H', W', filters].
    """

    def call(self, x):
        multiply = self._multiply_patches if self._has_patches(x) else self.convolution_op
        y = multiply(x, self.kernel)
        return self.activation(add_parameter(y, self.bias) if self.use_bias else y)

    def _has_patches(self, x) -> bool:
        """Whether kernels of the size of the strides divide the images."""
        if self.kernel_size != self.strides or not x.shape[1:].is_fully_defined():
            return False
        (height, width), (p, q) = x.shape[1:3], self.kernel_size
        return not (height % p or width % q)

    def _multiply_patches(self, x, kernel):
        p, q, channels, filters = kernel.shape
        rows, columns = x.shape[1] // p, x.shape[2] // q
        x = tf.reshape(x, (-1, rows, p, columns, q, channels))
        x = tf.transpose(x, (0, 1, 3, 2, 4, 5))  # [N, rows, columns, p, q, channels]
        return tf.tensordot(x, tf.cast(kernel, x.dtype), 3)


@serializable
class EinsumDense16Bit(keras.layers.EinsumDense):
    """Keras' EinsumDense, whose bias is added by `add_parameter`."""

    def call(self, x):
        y = tf.einsum(self.equation, x, self.kernel)
        return self.activation(y if self.bias is None else add_parameter(y, self.bias))


def _create(stock: type, in_16_bits: type, *args, dtype=None, **options) -> keras.layers.Layer:
    """Returns a layer of Keras, or its replacement if the policy `dtype` computes in 16 bits."""
    is_16_bit = dtype and tf.as_dtype(keras.layers.Layer(dtype=dtype).compute_dtype).size == 2
    return (in_16_bits if is_16_bit else stock)(*args, dtype=dtype, **options)


# Flax's defaults, with which the published weights were trained; Keras has others for all three,
# and for GELU.
Dense = functools.partial(
    _create, keras.layers.Dense, Dense16Bit, kernel_initializer="lecun_normal"
)
Conv2D = functools.partial(
    _create, keras.layers.Conv2D, Conv2D16Bit, kernel_initializer="lecun_normal"
)
EinsumDense = functools.partial(_create, keras.layers.EinsumDense, EinsumDense16Bit)
LayerNorm = functools.partial(keras.layers.LayerNormalization, epsilon=1e-6)


class Layer(keras.layers.Layer):
    """A Keras layer whose config is the arguments of its constructor.

    A subclass stores each argument in an attribute of the same name.
    """

    def get_config(self):
        config = super().get_config()
        for cls in type(self).__mro__:
            if issubclass(cls, Layer) and "__init__" in vars(cls):
                config |= {name: getattr(self, name) for name in _argument_names(cls)}
        return config


def _argument_names(cls: type) -> list[str]:
    """Returns the named arguments of the constructor of `cls`, without those of its parents."""
    _, *parameters = inspect.signature(cls.__init__).parameters.values()  # without self
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [parameter.name for parameter in parameters if parameter.kind not in variadic]


@serializable
class StochasticDepth(Layer):
    """Sets a residual branch to zero, independently for each example (Huang et al., 2016).

    As in the authors' code, a branch that is kept is not rescaled in training, and nothing is
    rescaled at evaluation.

    Shape: [N, ...] -> [N, ...].

    Args:
        drop_rate: probability that an example's branch is dropped in training.
        rescaled: divide the branches that are kept by 1 - drop_rate, as timm does.
    """

    def __init__(self, drop_rate: float, rescaled: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.drop_rate = drop_rate
        self.rescaled = rescaled

    def call(self, y, training=None):
        if not training or not self.drop_rate:
            return y
        ones = [1] * (y.shape.rank - 1)
        shape, seed = (tf.shape(y)[0], *ones), noise.next_seed()  # [N, 1, …, 1]
        is_seeded = seed is not None
        draw = tf.random.stateless_uniform(shape, seed) if is_seeded else tf.random.uniform(shape)
        scale = 1 / (1 - self.drop_rate) if self.rescaled else 1.0
        return y * tf.cast(tf.where(draw < self.drop_rate, 0.0, scale), y.dtype)


@serializable
class Dropout(keras.layers.Dropout):
    """Keras' Dropout, whose noise in a training step follows from the seed of the step.

    Shape: [N, ...] -> [N, ...].
    """

    def call(self, inputs, training=None):
        seed = noise.next_seed() if training is True and self.rate else None
        if seed is None:
            return super().call(inputs, training=training)
        noise_shape = self._get_noise_shape(inputs)
        return tf.nn.experimental.stateless_dropout(
            inputs, self.rate, seed, noise_shape=noise_shape
        )
