# SPDX-License-Identifier: Apache-2.0
"""What a Mixer costs: parameters and multiply-adds, by formula, without building the model."""

from __future__ import annotations

from mixer_tf.models.config import MixerConfig


def count_parameters(config: MixerConfig) -> int:
    """Returns the number of trainable weights; with the head, where there are classes."""
    channels = config.hidden_dim
    stem = _dense(3 * config.patch_size**2, channels)
    block = (
        2 * _layer_norm(channels)
        + _dense(config.num_tokens, config.tokens_mlp_dim)
        + _dense(config.tokens_mlp_dim, config.num_tokens)
        + _dense(channels, config.channels_mlp_dim)
        + _dense(config.channels_mlp_dim, channels)
    )
    head = _dense(channels, config.num_classes) if config.num_classes else 0
    return stem + config.num_blocks * block + _layer_norm(channels) + head


def count_multiply_adds(config: MixerConfig) -> int:
    """Returns the multiply-adds of one image's forward pass.

    Matrix products only: biases, LayerNorm, GELU and sums are left out, as is usual.
    """
    tokens, channels = config.num_tokens, config.hidden_dim
    stem = tokens * 3 * config.patch_size**2 * channels
    token_mixing = channels * 2 * tokens * config.tokens_mlp_dim
    channel_mixing = tokens * 2 * channels * config.channels_mlp_dim
    head = channels * config.num_classes
    return stem + config.num_blocks * (token_mixing + channel_mixing) + head


def _dense(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def _layer_norm(channels: int) -> int:
    return 2 * channels
