# SPDX-License-Identifier: Apache-2.0
"""The layers of MLP-Mixer, as the paper's Equation 1 and Listing 1 (arXiv:2105.01601) state them.

N images, S tokens (patches), C channels. Sub-layers bear the names of the authors' checkpoints.
"""

from __future__ import annotations

import functools

import tensorflow as tf
from tensorflow import keras

# Flax's defaults, with which the published weights were trained; Keras has others for both, and
# for GELU.
Dense = functools.partial(keras.layers.Dense, kernel_initializer="lecun_normal")
LayerNorm = functools.partial(keras.layers.LayerNormalization, epsilon=1e-6)

# The one place where pixel values 0 to 255 become what a network sees: [-1, 1].
Rescale = functools.partial(keras.layers.Rescaling, 1 / 127.5, offset=-1, name="rescale")

serializable = keras.saving.register_keras_serializable("mixer_tf")


@serializable
class MlpBlock(keras.layers.Layer):
    """W₂ gelu(W₁ x), along the last axis.

    Shape: [..., D] -> [..., D].

    Args:
        mlp_dim: the hidden width.
        dropout: rate after the activation and after the output, as in the authors' ViT.
        exact_gelu: compute GELU as timm does, without the authors' approximation by tanh.
    """

    def __init__(self, mlp_dim: int, dropout: float = 0.0, exact_gelu: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.mlp_dim = mlp_dim
        self.dropout = dropout
        self.exact_gelu = exact_gelu

    def build(self, input_shape):
        dtype = self.dtype_policy
        self.dense_0 = Dense(self.mlp_dim, name="Dense_0", dtype=dtype)
        self.dense_1 = Dense(input_shape[-1], name="Dense_1", dtype=dtype)
        self.drop = keras.layers.Dropout(self.dropout, dtype=dtype)
        super().build(input_shape)

    def call(self, x, training=None):
        y = self.dense_0(x)  # [..., mlp_dim]
        y = tf.nn.gelu(y, approximate=not self.exact_gelu)
        y = self.drop(y, training=training)
        y = self.dense_1(y)  # [..., D]
        return self.drop(y, training=training)

    def get_config(self):
        return {
            **super().get_config(),
            "mlp_dim": self.mlp_dim,
            "dropout": self.dropout,
            "exact_gelu": self.exact_gelu,
        }


@serializable
class MixerBlock(keras.layers.Layer):
    """U = X + token_mixing(LayerNorm(X)ᵀ)ᵀ;  Y = U + channel_mixing(LayerNorm(U)).

    Shape: [N, S, C] -> [N, S, C].

    Args:
        tokens_mlp_dim: D_S, the hidden width of the MLP across tokens.
        channels_mlp_dim: D_C, the hidden width of the MLP across channels.
        dropout, exact_gelu: see `MlpBlock`.
        drop_rate, drop_rescaled: see `StochasticDepth`; each of the two MLPs draws for itself.
    """

    def __init__(
        self,
        tokens_mlp_dim: int,
        channels_mlp_dim: int,
        dropout: float = 0.0,
        exact_gelu: bool = False,
        drop_rate: float = 0.0,
        drop_rescaled: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.tokens_mlp_dim = tokens_mlp_dim
        self.channels_mlp_dim = channels_mlp_dim
        self.dropout = dropout
        self.exact_gelu = exact_gelu
        self.drop_rate = drop_rate
        self.drop_rescaled = drop_rescaled

        dtype = self.dtype_policy
        mlp = functools.partial(MlpBlock, dropout=dropout, exact_gelu=exact_gelu, dtype=dtype)
        self.norm_0 = LayerNorm(name="LayerNorm_0", dtype=dtype)
        self.token_mixing = mlp(tokens_mlp_dim, name="token_mixing")
        self.norm_1 = LayerNorm(name="LayerNorm_1", dtype=dtype)
        self.channel_mixing = mlp(channels_mlp_dim, name="channel_mixing")
        self.maybe_drop = StochasticDepth(drop_rate, drop_rescaled, dtype=dtype)

    def call(self, x, training=None):
        y = self.norm_0(x)
        y = swap_axes(y)  # [N, C, S]
        y = self.token_mixing(y, training=training)
        y = swap_axes(y)  # [N, S, C]
        x = x + self.maybe_drop(y, training=training)
        y = self.norm_1(x)
        y = self.channel_mixing(y, training=training)
        return x + self.maybe_drop(y, training=training)

    def get_config(self):
        return {
            **super().get_config(),
            "tokens_mlp_dim": self.tokens_mlp_dim,
            "channels_mlp_dim": self.channels_mlp_dim,
            "dropout": self.dropout,
            "exact_gelu": self.exact_gelu,
            "drop_rate": self.drop_rate,
            "drop_rescaled": self.drop_rescaled,
        }


def swap_axes(x):
    """Tokens against channels: [N, S, C] -> [N, C, S], and back."""
    return tf.transpose(x, (0, 2, 1))


@serializable
class StochasticDepth(keras.layers.Layer):
    """Sets a residual branch to zero, for each example by a draw of its own (Huang et al., 2016).

    As in the authors' code, a branch that is kept is not rescaled in training, and nothing is
    rescaled at evaluation.

    Shape: [N, S, C] -> [N, S, C].

    Args:
        drop_rate: how probably an example's branch is dropped in training.
        rescaled: divide what is kept by 1 - drop_rate, as timm does.
    """

    def __init__(self, drop_rate: float, rescaled: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.drop_rate = drop_rate
        self.rescaled = rescaled

    def call(self, y, training=None):
        if not training or not self.drop_rate:
            return y
        draw = tf.random.uniform((tf.shape(y)[0], 1, 1))  # [N, 1, 1]
        scale = 1 / (1 - self.drop_rate) if self.rescaled else 1.0
        return y * tf.cast(tf.where(draw < self.drop_rate, 0.0, scale), y.dtype)

    def get_config(self):
        return {**super().get_config(), "drop_rate": self.drop_rate, "rescaled": self.rescaled}
