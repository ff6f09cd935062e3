# SPDX-License-Identifier: Apache-2.0
"""The token-mixing MLPs that the paper compares with its own (supplement A.1).

N images, S tokens, C channels, G groups of channels. Without options, an `AblationMixerBlock`
computes what a `MixerBlock` computes.
"""

from __future__ import annotations

import tensorflow as tf
from tensorflow import keras

from mixer_tf.models.layers import Dense, EinsumDense, serializable
from mixer_tf.models.mixer_config import MixerConfig
from mixer_tf.models.mlp_mixer import MixerBlock, MlpBlock, MlpMixer, transpose
from mixer_tf.models.recomputation import recomputed


@serializable
class TokenMixing(MlpBlock):
    """An MLP across the tokens of G channels at once: the S·G values of one of C/G columns.

    Shape: [N, C, S] -> [N, C, tokens_out].

    Args:
        mlp_dim: the hidden width.
        dropout, exact_gelu: see `MlpBlock`.
        groups: G, a divisor of C; G neighboring channels form one column.
        views: learn G linear views R^C → R^(C/G) of each token; a column holds one feature of each
            view instead of neighboring channels.
        untied: a separate MLP for each column; otherwise all columns share one.
        tokens_out: number of output tokens; None for S.
    """

    def __init__(self, mlp_dim, *, groups=1, views=False, untied=False, tokens_out=None, **kwargs):
        super().__init__(mlp_dim, **kwargs)
        self.groups, self.views = groups, views
        self.untied, self.tokens_out = untied, tokens_out

    def build(self, input_shape):
        _, channels, tokens = input_shape
        self.columns = channels // self.groups
        self.rank = 3 if self.untied else 2
        self.output_dim = self.groups * (self.tokens_out or tokens)
        super().build(input_shape)
        if self.views:
            # No bias: the views also project the bias of the LayerNorm before.
            self.project = Dense(channels, use_bias=False, name="views", dtype=self.dtype_policy)

    def dense(self, units: int, **options) -> keras.layers.Layer:
        if not self.untied:
            return super().dense(units, **options)
        return EinsumDense(
            "ncs,csd->ncd",  # [N, C/G, inputs], [C/G, inputs, units] -> [N, C/G, units]
            output_shape=(self.columns, units),
            bias_axes="cd",
            # "lecun_normal" for each column: Keras counts their axis as part of the fan-in.
            kernel_initializer=keras.initializers.VarianceScaling(
                self.columns, mode="fan_in", distribution="truncated_normal"
            ),
            dtype=self.dtype_policy,
            **options,
        )

    def call(self, x, training=None):
        channels, tokens = x.shape[1:]
        if self.views:
            # Channel j·G + g now is feature j of view g.
            x = transpose(self.project(transpose(x)))  # [N, C, S]
        x = tf.reshape(x, (-1, self.columns, self.groups * tokens))  # [N, C/G, G·S]
        y = super().call(x, training=training)  # [N, C/G, G·S']
        # Deviation: the paper does not say how the columns become channels again. The G parts of a
        # column return to the G channels that they came from.
        return tf.reshape(y, (-1, channels, self.tokens_out or tokens))  # [N, C, S']


@serializable
class AblationMixerBlock(MixerBlock):
    """A `MixerBlock` that mixes tokens with `TokenMixing`.

    Shape: [N, S, C] -> [N, tokens_out, C].

    Args:
        *args, **kwargs: see `MixerBlock`.
        ablation: the options of `TokenMixing`: groups, views, untied, tokens_out.
    """

    def __init__(self, *args, ablation: dict, **kwargs):
        super().__init__(*args, **kwargs)
        self.ablation = dict(ablation)
        self.token_mixing = TokenMixing(
            self.tokens_mlp_dim,
            dropout=self.dropout,
            exact_gelu=self.exact_gelu,
            **ablation,
            name="token_mixing",
            dtype=self.dtype_policy,
        )

    @recomputed
    def call(self, x, training=None):
        if not self.ablation.get("tokens_out"):
            return super().call(x, training=training)
        # Deviation: the paper does not say what happens to the skip connection around an MLP that
        # changes the number of tokens. Here there is none, so this MLP is never dropped either.
        y = transpose(self.norm_0(x))  # [N, C, S]
        x = transpose(self.token_mixing(y, training=training))  # [N, S', C]
        y = self.channel_mixing(self.norm_1(x), training=training)
        return x + self.maybe_drop(y, training=training)

    def get_config(self):
        return {**super().get_config(), "ablation": dict(self.ablation)}


@serializable
class AblationMixer(MlpMixer):
    """An `MlpMixer` whose blocks have the ablations of its `MixerConfig`."""

    builds_ablations = True

    @classmethod
    def block(cls, i: int, config: MixerConfig, policy) -> MixerBlock:
        block, ablation = super().block(i, config, policy), config.ablation(i)
        if not ablation:
            return block
        return AblationMixerBlock(**block.get_config(), ablation=ablation)
