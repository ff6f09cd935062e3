# SPDX-License-Identifier: Apache-2.0
"""VisionTransformer (arXiv:2010.11929), from pixels to logits: the paper's reference for Mixer.

Layers bear the names of the authors' checkpoints. Source of the facts: vit_jax/models_vit.py of
google-research/vision_transformer. N images, S tokens, D channels.
"""

from __future__ import annotations

import tensorflow as tf
from tensorflow import keras

from mixer_tf.models.base import ConfiguredModel, classification_head
from mixer_tf.models.layers import (
    Dense,
    LayerNorm,
    MlpBlock,
    Rescale,
    StochasticDepth,
    serializable,
)
from mixer_tf.models.vit_config import ViTConfig


@serializable
class ClassToken(keras.layers.Layer):
    """Puts a learned token, at first zero, before the others.

    Shape: [N, S, D] -> [N, S + 1, D].
    """

    def build(self, input_shape):
        self.token = self.add_weight("cls", (1, 1, input_shape[-1]), initializer="zeros")
        super().build(input_shape)

    def call(self, x):
        token = tf.tile(tf.cast(self.token, x.dtype), (tf.shape(x)[0], 1, 1))  # [N, 1, D]
        return tf.concat([token, x], axis=1)

    def get_config(self):  # without this line Keras refuses a dtype policy
        return super().get_config()


@serializable
class PositionEmbedding(keras.layers.Layer):
    """Adds a learned vector to each token, the class token too.

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
        return x + tf.cast(self.embedding, x.dtype)

    def get_config(self):  # without this line Keras refuses a dtype policy
        return super().get_config()


@serializable
class SelfAttention(keras.layers.Layer):
    """Multi-head self-attention: softmax(q kᵀ / √d) v in each head of d channels.

    Kernels are [D, D]; the authors' checkpoints hold them as [D, heads, d] and [heads, d, D].

    Shape: [N, S, D] -> [N, S, D].

    Args:
        num_heads: a divisor of D.
        dropout: rate on the attention weights.
    """

    def __init__(self, num_heads: int, dropout: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.dropout = dropout

    def build(self, input_shape):
        def projection(name):
            return Dense(
                input_shape[-1],
                kernel_initializer="glorot_uniform",
                name=name,
                dtype=self.dtype_policy,
            )

        self.query, self.key, self.value = map(projection, ("query", "key", "value"))
        self.out = projection("out")
        self.drop = keras.layers.Dropout(self.dropout, dtype=self.dtype_policy)
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

    def get_config(self):
        return {**super().get_config(), "num_heads": self.num_heads, "dropout": self.dropout}


@serializable
class EncoderMlp(MlpBlock):
    """`MlpBlock` with the initial values of the authors' ViT."""

    def build(self, input_shape):
        super().build(input_shape)
        for dense in (self.dense_0, self.dense_1):
            dense.kernel_initializer = keras.initializers.GlorotUniform()
            dense.bias_initializer = keras.initializers.RandomNormal(stddev=1e-6)


@serializable
class EncoderBlock(keras.layers.Layer):
    """U = X + attention(LayerNorm(X));  Y = U + MLP(LayerNorm(U)).

    Shape: [N, S, D] -> [N, S, D].

    Args:
        num_heads, attention_dropout: see `SelfAttention`.
        mlp_dim: see `MlpBlock`.
        dropout: rate after attention and in the MLP.
        drop_rate, drop_rescaled: see `StochasticDepth`; each branch draws for itself.
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
        self.options = dict(
            num_heads=num_heads,
            mlp_dim=mlp_dim,
            dropout=dropout,
            attention_dropout=attention_dropout,
            drop_rate=drop_rate,
            drop_rescaled=drop_rescaled,
        )
        dtype = self.dtype_policy
        self.norm_0 = LayerNorm(name="LayerNorm_0", dtype=dtype)
        self.attention = SelfAttention(
            num_heads, attention_dropout, name="MultiHeadDotProductAttention_1", dtype=dtype
        )
        self.drop = keras.layers.Dropout(dropout, dtype=dtype)
        self.norm_2 = LayerNorm(name="LayerNorm_2", dtype=dtype)
        self.mlp = EncoderMlp(mlp_dim, dropout, name="MlpBlock_3", dtype=dtype)
        self.maybe_drop = StochasticDepth(drop_rate, drop_rescaled, dtype=dtype)

    def call(self, x, training=None):
        y = self.attention(self.norm_0(x), training=training)
        y = self.drop(y, training=training)
        x = x + self.maybe_drop(y, training=training)
        y = self.mlp(self.norm_2(x), training=training)
        return x + self.maybe_drop(y, training=training)

    def get_config(self):
        return {**super().get_config(), **self.options}


@serializable
class VisionTransformer(ConfiguredModel):
    """Vision Transformer: pixel values 0 to 255 in, logits out.

    Shape: uint8 or float [N, H, W, 3] -> [N, num_classes], or the pre-logits with 0 classes.

    Intermediates: "stem", "input_tokens" (with class token and positions), "block_0" …,
    "encoder_norm", "pre_logits" and, where there are classes, "logits".
    """

    config_class = ViTConfig

    @staticmethod
    def build_graph(pixels, config: ViTConfig, policy) -> dict[str, object]:
        full_precision = policy.variable_dtype  # float32 where the policy is a mixed one
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
    """Pixels [N, H, W, 3] -> [N, S, D], what the first encoder block sees."""
    layers = keras.layers
    rows, columns = config.grid
    x = Rescale(dtype=policy.variable_dtype)(pixels)
    x = out["stem"] = layers.Conv2D(
        config.hidden_dim,
        config.patch_size,
        strides=config.patch_size,
        kernel_initializer="lecun_normal",
        name="embedding",
        dtype=policy,
    )(x)  # [N, H/P, W/P, D]
    shape = (rows * columns, config.hidden_dim)
    x = layers.Reshape(shape, name="patches", dtype=policy)(x)
    if config.classifier == "token":
        x = ClassToken(name="class_token", dtype=policy)(x)  # [N, 1 + H/P·W/P, D]
    x = out["input_tokens"] = PositionEmbedding(name="posembed_input", dtype=policy)(x)
    return layers.Dropout(config.dropout, name="posembed_dropout", dtype=policy)(x)


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
