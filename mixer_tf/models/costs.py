# SPDX-License-Identifier: Apache-2.0
"""What a Mixer costs: parameters and multiply-adds, by formula, without building the model."""

from __future__ import annotations

from mixer_tf.models.config import MixerConfig


def count_parameters(config: MixerConfig) -> int:
    """Returns the number of trainable weights; with the head, where there are classes."""
    channels = config.hidden_dim
    stem = _dense(3 * config.patch_size**2, channels)
    channel_mixing = _mlp(channels, config.channels_mlp_dim, channels)
    head = _dense(channels, config.num_classes) if config.num_classes else 0
    total = stem + _layer_norm(channels) + head
    for block in range(config.num_blocks):
        inputs, outputs, columns = _token_mixing_shape(config, block)
        token_mixing = _mlp(inputs, config.tokens_mlp_dim, outputs)
        if config.untied:
            token_mixing *= columns
        total += 2 * _layer_norm(channels) + token_mixing + channel_mixing
        total += channels**2 if config.channel_views else 0
    return total


def count_multiply_adds(config: MixerConfig) -> int:
    """Returns the multiply-adds of one image's forward pass.

    Matrix products only: biases, LayerNorm, GELU and sums are left out, as is usual.
    """
    channels = config.hidden_dim
    stem = config.num_tokens * 3 * config.patch_size**2 * channels
    total = stem + channels * config.num_classes
    for block in range(config.num_blocks):
        inputs, outputs, columns = _token_mixing_shape(config, block)
        tokens_in, tokens_out = config.tokens(block)
        total += columns * config.tokens_mlp_dim * (inputs + outputs)
        total += tokens_out * config.channels_mlp_dim * 2 * channels
        total += tokens_in * channels**2 if config.channel_views else 0
    return total


def _token_mixing_shape(config: MixerConfig, block: int) -> tuple[int, int, int]:
    """Inputs and outputs of a block's token-mixing MLP, and how many columns pass through it."""
    groups = config.channel_groups
    tokens_in, tokens_out = config.tokens(block)
    return groups * tokens_in, groups * tokens_out, config.hidden_dim // groups


def _mlp(inputs: int, hidden: int, outputs: int) -> int:
    return _dense(inputs, hidden) + _dense(hidden, outputs)


def _dense(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def _layer_norm(channels: int) -> int:
    return 2 * channels
