# SPDX-License-Identifier: Apache-2.0
"""Vision Transformer (arXiv:2010.11929), a baseline of the Mixer paper, from pixels to logits.

Layers have the names of the authors' checkpoints. Source: vit_jax/models_vit.py of
google-research/vision_transformer. N images of H x W pixels, P x P pixels per patch, S tokens, D
channels.
"""

from __future__ import annotations

import tensorflow as tf
from tensorflow import keras

from mixer_tf.models.base import ConfiguredModel, classification_head
from mixer_tf.models.layers import (
    Conv2D,
    Dense,
    Dropout,
    Layer,
    LayerNorm,
    Rescale,
    StochasticDepth,
    add_parameter,
    serializable,
)
from mixer_tf.models.mlp_mixer import MlpBlock
from mixer_tf.models.recomputation import recomputed
from mixer_tf.models.vit_config import ViTConfig


@serializable
class ClassToken(Layer):
    """Prepends a learned token, initially zero.

    Shape: [N, S, D] -> [N, S + 1, D].
    """

    def build(self, input_shape):
        self.token = self.add_weight("cls", (1, 1, input_shape[-1]), initializer="zeros")
        super().build(input_shape)

    def call(self, x):
        shape = (tf.shape(x)[0], 1, x.shape[-1])  # [N, 1, D]
        if x.dtype.size == 2:
            token = add_parameter(tf.zeros(shape, x.dtype), self.token)
        else:
            token = tf.tile(tf.cast(self.token, x.dtype), (shape[0], 1, 1))
        return tf.concat([token, x], axis=1)


@serializable
class PositionEmbedding(Layer):
    """Adds a learned vector to each token, including the class token.

    Shape: [N, S, D] -> [N, S, D].
    """

    def build(self, input_shape):
        self.embedding = self.add_weight(
            "pos_embedding",
            (1, *input_shape[1:]),
            initializer=keras.initializers.RandomNormal(stddev=0.02),
        )
        super().build(input_shape)

    def call(self, x):
        return add_parameter(x, self.embedding)


@serializable
class SelfAttention(Layer):
    """Multi-head self-attention: softmax(q kᵀ / √d) v in each head of d channels.

    Kernels are [D, D]; in the authors' checkpoints they are [D, heads, d] and [heads, d, D].

    Shape: [N, S, D] -> [N, S, D].

    Args:
        num_heads: number of heads, a divisor of D.
        dropout: dropout rate on the attention weights.
    """

    def __init__(self, num_heads: int, dropout: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.num_heads, self.dropout = num_heads, dropout

    def build(self, input_shape):
        options = dict(kernel_initializer="glorot_uniform", dtype=self.dtype_policy)
        self.query, self.key, self.value, self.out = (
            Dense(input_shape[-1], name=name, **options)
            for name in ("query", "key", "value", "out")
        )
        self.drop = Dropout(self.dropout, dtype=self.dtype_policy)
        super().build(input_shape)

    def call(self, x, training=None):
        query, key, value = (self.heads(f(x)) for f in (self.query, self.key, self.value))
        query *= query.shape[-1] ** -0.5
        scores = tf.einsum("nqhd,nkhd->nhqk", query, key)  # [N, heads, S, S]
        weights = tf.nn.softmax(tf.cast(scores, self.variable_dtype))
        weights = self.drop(tf.cast(weights, x.dtype), training=training)
        y = tf.einsum("nhqk,nkhd->nqhd", weights, value)  # [N, S, heads, d]
        return self.out(tf.reshape(y, tf.shape(x)))

    def heads(self, x):
        """[N, S, D] -> [N, S, heads, d]."""
        tokens, channels = x.shape[1:]
        return tf.reshape(x, (-1, tokens, self.num_heads, channels // self.num_heads))


@serializable
class EncoderMlp(MlpBlock):
    """`MlpBlock` with the initializers of the authors' ViT."""

    def dense(self, units: int, **options) -> keras.layers.Layer:
        return super().dense(
            units,
            kernel_initializer="glorot_uniform",
            bias_initializer=keras.initializers.RandomNormal(stddev=1e-6),
            **options,
        )


@serializable
class EncoderBlock(Layer):
    """U = X + attention(LayerNorm(X));  Y = U + MLP(LayerNorm(U)).

    Shape: [N, S, D] -> [N, S, D].

    Args:
        num_heads, attention_dropout: see `SelfAttention`.
        mlp_dim: see `MlpBlock`.
        dropout: dropout rate after attention and in the MLP.
        drop_rate, drop_rescaled: see `StochasticDepth`; each branch draws independently.
    """

    # Deviation: the authors published no stochastic depth for ViT, though they trained with it
    # (arXiv:2106.10270, Section 3.3); it is here as in their Mixer. The default 0 changes nothing.

    def __init__(
        self,
        num_heads: int,
        mlp_dim: int,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        drop_rate: float = 0.0,
        drop_rescaled: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_heads, self.mlp_dim = num_heads, mlp_dim
        self.dropout, self.attention_dropout = dropout, attention_dropout
        self.drop_rate, self.drop_rescaled = drop_rate, drop_rescaled

        dtype = self.dtype_policy
        self.norm_0 = LayerNorm(name="LayerNorm_0", dtype=dtype)
        self.attention = SelfAttention(
            num_heads, attention_dropout, name="MultiHeadDotProductAttention_1", dtype=dtype
        )
        self.drop = Dropout(dropout, dtype=dtype)
        self.norm_2 = LayerNorm(name="LayerNorm_2", dtype=dtype)
        self.mlp = EncoderMlp(mlp_dim, dropout, name="MlpBlock_3", dtype=dtype)
        self.maybe_drop = StochasticDepth(drop_rate, drop_rescaled, dtype=dtype)

    @recomputed
    def call(self, x, training=None):
        y = self.attention(self.norm_0(x), training=training)
        y = self.drop(y, training=training)
        x = x + self.maybe_drop(y, training=training)
        y = self.mlp(self.norm_2(x), training=training)
        return x + self.maybe_drop(y, training=training)


@serializable
class VisionTransformer(ConfiguredModel):
    """Vision Transformer: pixel values 0 to 255 in, logits out.

    Shape: uint8 or float [N, H, W, 3] -> [N, num_classes], or the pre-logits with 0 classes.

    Intermediates: "stem", "input_tokens" (with class token and position embeddings), "block_0" …,
    "encoder_norm", "pre_logits" and, with classes, "logits".
    """

    config_class = ViTConfig

    @classmethod
    def build_graph(cls, pixels, config: ViTConfig, policy) -> dict[str, object]:
        full_precision = policy.variable_dtype  # float32 if the policy is mixed
        out = {}
        x = _tokens(out, pixels, config, policy)
        for i in range(config.num_blocks):
            x = out[f"block_{i}"] = EncoderBlock(
                config.num_heads,
                config.channels_mlp_dim,
                dropout=config.dropout,
                attention_dropout=config.attention_dropout,
                drop_rate=config.drop_rate(i),
                drop_rescaled=config.stochastic_depth_rescaled,
                name=f"encoderblock_{i}",
                dtype=policy,
            )(x)  # [N, S, D]
        x = out["encoder_norm"] = LayerNorm(name="encoder_norm", dtype=policy)(x)
        x = out["pre_logits"] = _pre_logits(x, config, full_precision)
        if config.num_classes:
            out["logits"] = classification_head(config, full_precision)(x)  # [N, num_classes]
        return out


def _tokens(out, pixels, config: ViTConfig, policy):
    """Pixels [N, H, W, 3] -> [N, S, D], the input of the first encoder block."""
    layers = keras.layers
    rows, columns = config.grid
    patch, channels = config.patch_size, config.hidden_dim
    stem = Conv2D(channels, patch, strides=patch, name="embedding", dtype=policy)

    x = Rescale(dtype=policy.variable_dtype)(pixels)
    x = out["stem"] = stem(x)  # [N, H/P, W/P, D]
    x = layers.Reshape((rows * columns, channels), name="patches", dtype=policy)(x)
    if config.classifier == "token":
        x = ClassToken(name="class_token", dtype=policy)(x)  # [N, 1 + H/P·W/P, D]
    x = out["input_tokens"] = PositionEmbedding(name="posembed_input", dtype=policy)(x)
    return Dropout(config.dropout, name="posembed_dropout", dtype=policy)(x)


def _pre_logits(x, config: ViTConfig, full_precision: str):
    """[N, S, D] -> [N, D], or [N, representation_size]."""
    if config.classifier == "token":
        x = x[:, 0]
    else:
        x = keras.layers.GlobalAveragePooling1D(name="gap", dtype=full_precision)(x)
    if config.representation_size:
        return Dense(
            config.representation_size, activation="tanh", name="pre_logits", dtype=full_precision
        )(x)
    return keras.layers.Activation("linear", name="pre_logits", dtype=full_precision)(x)
