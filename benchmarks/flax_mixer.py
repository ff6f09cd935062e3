# SPDX-License-Identifier: Apache-2.0
"""Listing 1 of the paper, written with Flax's own layers and their defaults: a reference."""

from __future__ import annotations

import flax.linen as nn


class Mlp(nn.Module):
    """Two dense layers with GELU between them: [..., D] -> [..., D]."""

    dim: int
    dtype: object = None

    @nn.compact
    def __call__(self, x):
        y = nn.gelu(nn.Dense(self.dim, dtype=self.dtype)(x))
        return nn.Dense(x.shape[-1], dtype=self.dtype)(y)


class MixerBlock(nn.Module):
    """Mixes tokens, then channels: [N, tokens, D] -> the same."""

    config: object
    dtype: object = None

    @nn.compact
    def __call__(self, x):
        tokens_mlp_dim, channels_mlp_dim = self.config.tokens_mlp_dim, self.config.channels_mlp_dim
        y = nn.LayerNorm(dtype=self.dtype)(x).swapaxes(1, 2)
        x = x + Mlp(tokens_mlp_dim, self.dtype, name="token_mixing")(y).swapaxes(1, 2)
        y = nn.LayerNorm(dtype=self.dtype)(x)
        return x + Mlp(channels_mlp_dim, self.dtype, name="channel_mixing")(y)


class Mixer(nn.Module):
    """From pixels in [-1, 1], [N, H, W, 3], to logits [N, num_classes].

    Attributes:
        config: a `MixerConfig`.
        dtype: in which layers compute; None for that of their inputs and weights.
    """

    config: object
    dtype: object = None

    @nn.compact
    def __call__(self, x):
        patch = (self.config.patch_size,) * 2
        x = nn.Conv(self.config.hidden_dim, patch, strides=patch, dtype=self.dtype, name="stem")(x)
        x = x.reshape(x.shape[0], -1, x.shape[-1])
        for _ in range(self.config.num_blocks):
            x = MixerBlock(self.config, self.dtype)(x)
        x = nn.LayerNorm(dtype=self.dtype, name="pre_head_layer_norm")(x).mean(axis=1)
        return nn.Dense(self.config.num_classes, dtype=self.dtype, name="head")(x)
