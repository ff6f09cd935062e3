# SPDX-License-Identifier: Apache-2.0
"""MLP-Mixer, as Equation 1 and Listing 1 of the paper define it (arXiv:2105.01601).

N images of H x W pixels, P x P pixels per patch, S = HW/P² tokens (patches), C channels. Layers
have the names of the authors' checkpoints.
"""

from __future__ import annotations

import functools

import tensorflow as tf
from tensorflow import keras

from mixer_tf.models.base import ConfiguredModel, classification_head
from mixer_tf.models.gelu import gelu
from mixer_tf.models.layers import (
    Conv2D,
    Dense,
    Dropout,
    Layer,
    LayerNorm,
    Rescale,
    StochasticDepth,
    serializable,
)
from mixer_tf.models.mixer_config import MixerConfig
from mixer_tf.models.recomputation import recomputed


@serializable
class MlpBlock(Layer):
    """W₂ gelu(W₁ x), along the last axis.

    Shape: [..., D] -> [..., D].

    Args:
        mlp_dim: the hidden width.
        dropout: dropout rate after the activation and after the output, as in the authors' ViT.
        exact_gelu: compute GELU exactly, as timm does; the authors use its tanh approximation.
    """

    output_dim: int | None = None  # that of the input
    rank = 2  # of what the linear layers get

    def __init__(self, mlp_dim: int, dropout: float = 0.0, exact_gelu: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.mlp_dim, self.dropout, self.exact_gelu = mlp_dim, dropout, exact_gelu

    def build(self, input_shape):
        self.dense_0 = self.dense(self.mlp_dim, name="Dense_0")
        self.dense_1 = self.dense(self.output_dim or input_shape[-1], name="Dense_1")
        self.drop = Dropout(self.dropout, dtype=self.dtype_policy)
        super().build(input_shape)

    def dense(self, units: int, **options) -> keras.layers.Layer:
        """Returns one of the two linear layers, not built yet."""
        return Dense(units, dtype=self.dtype_policy, **options)

    def call(self, x, training=None):
        # Of a matrix, TensorFlow computes product, bias and GELU as one operation on CPUs.
        y = tf.reshape(x, (-1, *x.shape[x.shape.rank - self.rank + 1 :]))
        y = self.dense_0(y)  # [rows, mlp_dim]
        y = gelu(y, approximate=not self.exact_gelu, training=training)
        y = self.drop(y, training=training)
        y = self.dense_1(y)  # [rows, D]
        y = self.drop(y, training=training)
        return tf.reshape(y, (-1, *x.shape[1:-1], y.shape[-1]))


@serializable
class MixerBlock(Layer):
    """U = X + token_mixing(LayerNorm(X)ᵀ)ᵀ;  Y = U + channel_mixing(LayerNorm(U)).

    Shape: [N, S, C] -> [N, S, C].

    Args:
        tokens_mlp_dim: D_S, the hidden width of the MLP across tokens.
        channels_mlp_dim: D_C, the hidden width of the MLP across channels.
        dropout, exact_gelu: see `MlpBlock`.
        drop_rate, drop_rescaled: see `StochasticDepth`; each of the two MLPs draws independently.
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
        self.tokens_mlp_dim, self.channels_mlp_dim = tokens_mlp_dim, channels_mlp_dim
        self.dropout, self.exact_gelu = dropout, exact_gelu
        self.drop_rate, self.drop_rescaled = drop_rate, drop_rescaled

        dtype = self.dtype_policy
        mlp = functools.partial(MlpBlock, dropout=dropout, exact_gelu=exact_gelu, dtype=dtype)
        self.norm_0 = LayerNorm(name="LayerNorm_0", dtype=dtype)
        self.token_mixing = mlp(tokens_mlp_dim, name="token_mixing")
        self.norm_1 = LayerNorm(name="LayerNorm_1", dtype=dtype)
        self.channel_mixing = mlp(channels_mlp_dim, name="channel_mixing")
        self.maybe_drop = StochasticDepth(drop_rate, drop_rescaled, dtype=dtype)

    @recomputed
    def call(self, x, training=None):
        y = transpose(self.norm_0(x))  # [N, C, S]
        y = transpose(self.token_mixing(y, training=training))  # [N, S, C]
        x = x + self.maybe_drop(y, training=training)
        y = self.channel_mixing(self.norm_1(x), training=training)
        return x + self.maybe_drop(y, training=training)


def transpose(x):
    """[N, S, C] -> [N, C, S], and back."""
    return tf.transpose(x, (0, 2, 1))


@serializable
class MlpMixer(ConfiguredModel):
    """MLP-Mixer: pixel values 0 to 255 in, logits out. Its arguments: see `MixerConfig`.

    Shape: uint8 or float [N, H, W, 3] -> [N, num_classes], or [N, C] with 0 classes; float32
    under mixed precision too.

    Intermediates: "stem", "input_tokens", "block_0" …, "pre_head_layer_norm", "pre_logits" and,
    with classes, "logits".
    """

    config_class = MixerConfig

    def __init__(self, *, name: str = "mlp_mixer", **options):
        super().__init__(name=name, **options)

    @classmethod
    def build_graph(cls, pixels, config: MixerConfig, policy) -> dict[str, object]:
        full_precision = policy.variable_dtype  # float32 if the policy is mixed
        patch, channels = config.patch_size, config.hidden_dim
        stem = Conv2D(channels, patch, strides=patch, name="stem", dtype=policy)
        shape = (config.num_tokens, channels)
        flatten = keras.layers.Reshape(shape, name="input_tokens", dtype=policy)
        norm = LayerNorm(name="pre_head_layer_norm", dtype=policy)
        pool = keras.layers.GlobalAveragePooling1D(name="pre_logits", dtype=full_precision)

        out = {}
        x = Rescale(dtype=full_precision)(pixels)
        x = out["stem"] = stem(x)  # [N, H/P, W/P, C]
        x = out["input_tokens"] = flatten(x)  # [N, S, C]
        for i in range(config.num_blocks):
            x = out[f"block_{i}"] = cls.block(i, config, policy)(x)
        x = out["pre_head_layer_norm"] = norm(x)
        x = out["pre_logits"] = pool(x)  # [N, C]
        if config.num_classes:
            out["logits"] = classification_head(config, full_precision)(x)  # [N, num_classes]
        return out

    @staticmethod
    def block(i: int, config: MixerConfig, policy) -> MixerBlock:
        """Returns block number `i`, counted from 0."""
        return MixerBlock(
            config.tokens_mlp_dim,
            config.channels_mlp_dim,
            dropout=config.dropout,
            exact_gelu=config.exact_gelu,
            drop_rate=config.drop_rate(i),
            drop_rescaled=config.stochastic_depth_rescaled,
            name=f"MixerBlock_{i}",
            dtype=policy,
        )
