# SPDX-License-Identifier: Apache-2.0
"""What MLP-Mixer, ViT and BiT share: Flax's defaults for Keras layers, and layers with noise."""

from __future__ import annotations

import functools
import inspect

import tensorflow as tf
from tensorflow import keras

from mixer_tf.models import noise

# Flax's defaults, with which the published weights were trained; Keras has others for all three,
# and for GELU.
Dense = functools.partial(keras.layers.Dense, kernel_initializer="lecun_normal")
Conv2D = functools.partial(keras.layers.Conv2D, kernel_initializer="lecun_normal")
LayerNorm = functools.partial(keras.layers.LayerNormalization, epsilon=1e-6)

# The only code that maps pixel values 0 to 255 to what a network is trained on: [-1, 1].
Rescale = functools.partial(keras.layers.Rescaling, 1 / 127.5, offset=-1, name="rescale")

serializable = keras.saving.register_keras_serializable("mixer_tf")


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
