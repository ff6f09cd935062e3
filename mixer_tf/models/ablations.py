# SPDX-License-Identifier: Apache-2.0
"""The token-mixing MLPs that the paper tried besides its own (supplement A.1).

N images, S tokens, C channels, G groups of channels. With G = 1 and no other option a
`AblationMixerBlock` is a `MixerBlock`.
"""

from __future__ import annotations

import tensorflow as tf
from tensorflow import keras

from mixer_tf.models.layers import Dense, MixerBlock, MlpBlock, serializable, swap_axes


@serializable
class TokenMixing(MlpBlock):
    """An MLP over the S·G values of G channels at once, shared by all C/G groups or by none.

    Shape: [N, C, S] -> [N, C, tokens_out].

    Args:
        mlp_dim: the hidden width.
        dropout, exact_gelu: see `MlpBlock`.
        groups: G; it divides C. G neighbouring columns of the S×C table become one.
        views: learn G linear views R^C → R^(C/G) of each token, whose features are grouped
            instead of neighbouring channels.
        untied: give every group an MLP of its own.
        tokens_out: tokens that come out; None for as many as go in.
    """

    def __init__(self, mlp_dim, *, groups=1, views=False, untied=False, tokens_out=None, **kwargs):
        super().__init__(mlp_dim, **kwargs)
        self.groups = groups
        self.views = views
        self.untied = untied
        self.tokens_out = tokens_out

    def build(self, input_shape):
        _, channels, tokens = input_shape
        self.columns = channels // self.groups
        inputs, outputs = self.groups * tokens, self.groups * (self.tokens_out or tokens)
        self.dense_0 = self._dense(inputs, self.mlp_dim, "Dense_0")
        self.dense_1 = self._dense(self.mlp_dim, outputs, "Dense_1")
        self.drop = keras.layers.Dropout(self.dropout, dtype=self.dtype_policy)
        if self.views:
            # No bias: the LayerNorm before has one, which the views project along.
            self.project = Dense(channels, use_bias=False, name="views", dtype=self.dtype_policy)
        keras.layers.Layer.build(self, input_shape)

    def _dense(self, inputs: int, outputs: int, name: str):
        if not self.untied:
            return Dense(outputs, name=name, dtype=self.dtype_policy)
        return keras.layers.EinsumDense(
            "ncs,csd->ncd",  # [N, C/G, inputs], [C/G, inputs, outputs] -> [N, C/G, outputs]
            output_shape=(self.columns, outputs),
            bias_axes="cd",
            # "lecun_normal" would take the first axis for a part of the fan-in.
            kernel_initializer=keras.initializers.TruncatedNormal(
                stddev=inputs**-0.5 / 0.87962566103423978
            ),
            name=name,
            dtype=self.dtype_policy,
        )

    def call(self, x, training=None):
        channels, tokens = x.shape[1:]
        if self.views:
            # Channel j·G + g now is feature j of view g.
            x = swap_axes(self.project(swap_axes(x)))  # [N, C, S]
        x = tf.reshape(x, (-1, self.columns, self.groups * tokens))  # [N, C/G, G·S]
        y = super().call(x, training=training)  # [N, C/G, G·S']
        # Deviation: the paper does not say how the table becomes S×C again. The G parts of a
        # column go back to the G channels that they came from.
        return tf.reshape(y, (-1, channels, self.tokens_out or tokens))  # [N, C, S']

    def get_config(self):
        return {
            **super().get_config(),
            "groups": self.groups,
            "views": self.views,
            "untied": self.untied,
            "tokens_out": self.tokens_out,
        }


@serializable
class AblationMixerBlock(MixerBlock):
    """A `MixerBlock` whose tokens are mixed by `TokenMixing`.

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

    def call(self, x, training=None):
        if not self.ablation.get("tokens_out"):
            return super().call(x, training=training)
        # Deviation: the paper does not say what becomes of the skip connection around an MLP that
        # changes the number of tokens. There is none, so this MLP is never dropped either.
        y = swap_axes(self.norm_0(x))  # [N, C, S]
        x = swap_axes(self.token_mixing(y, training=training))  # [N, S', C]
        y = self.channel_mixing(self.norm_1(x), training=training)
        return x + self.maybe_drop(y, training=training)

    def get_config(self):
        return {**super().get_config(), "ablation": dict(self.ablation)}
