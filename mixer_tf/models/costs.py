# SPDX-License-Identifier: Apache-2.0
"""Parameters, multiply-adds and memory of a model and of each layer, by formula. No TensorFlow."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

from mixer_tf.models.bit_config import BiTConfig, Unit
from mixer_tf.models.mixer_config import MixerConfig
from mixer_tf.models.vit_config import ViTConfig

FLOAT32 = "float32"
_FLOAT_BYTES, _HALF_BYTES = 4, 2


@dataclasses.dataclass(frozen=True)
class LayerCost:
    """The cost of one layer for one image.

    Attributes:
        name: name of the layer, without the number of its block.
        output: shape of the output, without the batch.
        parameters: number of trainable parameters.
        multiply_adds: number of multiply-adds in matrix products and convolutions.
        kept: the bytes of the forward pass that the gradient needs, see `kept_bytes`.
        kept_mixed: the same under mixed precision, where normalization stays in float32.
        live: about the number of values that exist at the same time while it is computed.
        live_backward: the same for its gradient, besides what is kept.
        block_input: number of values that enter a block, of its first layer; otherwise 0.
    """

    name: str
    output: tuple[int, ...]
    parameters: int
    multiply_adds: int = 0
    kept: int = 0
    kept_mixed: int = 0
    live: int = 0
    live_backward: int = 0
    block_input: int = 0

    @property
    def is_in_block(self) -> bool:
        """Whether the layer is a part of a block, which training can compute a second time."""
        return "/" in self.name

    def kept_in(self, precision: str) -> int:
        """Returns the bytes of the forward pass that the gradient needs in a precision."""
        return self.kept if precision == FLOAT32 else self.kept_mixed


def layers(config: MixerConfig | ViTConfig | BiTConfig) -> list[LayerCost]:
    """Returns the cost of every layer with weights, in the order of the network."""
    functions = {MixerConfig: _mixer, ViTConfig: _vit, BiTConfig: _bit}
    return list(functions[type(config)](config))


def count_parameters(config) -> int:
    """Returns the number of trainable parameters, including the head if there are classes."""
    return sum(layer.parameters for layer in layers(config))


def count_multiply_adds(config) -> int:
    """Returns the number of multiply-adds of the forward pass for one image.

    Matrix products and convolutions only, including both matrix products of attention weights; as
    usual, biases, normalization, activations and sums are not counted.
    """
    return sum(layer.multiply_adds for layer in layers(config))


def count_block_multiply_adds(config) -> int:
    """Returns the part of `count_multiply_adds` that is in blocks."""
    return sum(layer.multiply_adds for layer in layers(config) if layer.is_in_block)


def weight_bytes(config) -> int:
    """Returns the memory of the float32 weights in bytes."""
    return _FLOAT_BYTES * count_parameters(config)


def kept_bytes(config, precision: str = FLOAT32) -> int:
    """Returns the bytes of one image's activations that training keeps until the backward pass.

    These are the tensors of the forward pass that the gradients read, without those of a few
    values: GELU keeps its input, LayerNorm two tensors besides its output, GroupNorm with ReLU
    three.

    Args:
        config: the model.
        precision: "float32", or the name of a mixed dtype policy.
    """
    return sum(layer.kept_in(precision) for layer in layers(config))


def recomputed_bytes(config, precision: str = FLOAT32) -> int:
    """Returns what `kept_bytes` becomes where blocks are computed a second time.

    These are the inputs of all blocks, and what a single block keeps.

    Args:
        config, precision: see `kept_bytes`.
    """
    kept, block, most = 0, 0, 0
    for layer in layers(config):
        if layer.is_in_block:
            block = layer.kept_in(precision) + (0 if layer.block_input else block)
            most = max(most, block)
            kept += _value_bytes(precision) * layer.block_input
        else:
            kept += layer.kept_in(precision)
    return kept + most


def training_activation_bytes(config, precision: str = FLOAT32, recompute: bool = False) -> int:
    """Estimates the peak memory of one image's activations in a training step, in bytes.

    It is what is kept, and what the gradient of the largest layer needs besides. docs/planning.md
    compares it with the growth of a process.

    Args:
        config, precision: see `kept_bytes`.
        recompute: whether blocks are computed a second time.
    """
    most = max(max(layer.live, layer.live_backward) for layer in layers(config))
    kept = recomputed_bytes if recompute else kept_bytes
    return kept(config, precision) + _value_bytes(precision) * most


def inference_activation_bytes(config, precision: str = FLOAT32) -> int:
    """Estimates the peak memory of one image's activations at inference, in bytes.

    Args:
        config, precision: see `kept_bytes`.
    """
    return _value_bytes(precision) * max(layer.live for layer in layers(config))


def _value_bytes(precision: str) -> int:
    return _FLOAT_BYTES if precision == FLOAT32 else _HALF_BYTES


def _kept(values: int = 0, exact: int = 0, casts: int = 0, masks: int = 0) -> dict[str, int]:
    """Returns the arguments `kept` and `kept_mixed` of a layer.

    Args:
        values: number of values in the type in which the layer computes.
        exact: number of values in float32, also under mixed precision.
        casts: number of values of which mixed precision keeps a copy in 16 bits.
        masks: number of booleans.
    """
    in_16_bits = _HALF_BYTES * (values + casts) + _FLOAT_BYTES * exact + masks
    return dict(kept=_FLOAT_BYTES * (values + exact) + masks, kept_mixed=in_16_bits)


def _mixer(config: MixerConfig) -> Iterator[LayerCost]:
    channels = config.hidden_dim
    yield _stem("stem", config)
    for block in range(config.num_blocks):
        (before, after), groups = config.tokens(block), config.channel_groups
        yield _first_norm("MixerBlock/LayerNorm_0", (before, channels))
        yield _token_mixing(config, before, after, groups)
        yield _norm("MixerBlock/LayerNorm_1", (after, channels))
        yield _mlp("MixerBlock/channel_mixing", (after, channels), config.channels_mlp_dim, config)
        tokens = after
    yield _norm("pre_head_layer_norm", (tokens, channels))
    yield from _head(channels, config.num_classes)


def _token_mixing(config: MixerConfig, before: int, after: int, groups: int) -> LayerCost:
    columns, hidden = config.hidden_dim // groups, config.tokens_mlp_dim
    inputs, outputs = groups * before, groups * after
    weights = _dense(inputs, hidden) + _dense(hidden, outputs)
    views = config.hidden_dim**2 if config.channel_views else 0
    projected = before * config.hidden_dim if views else 0
    return LayerCost(
        "MixerBlock/token_mixing",
        (after, config.hidden_dim),
        parameters=weights * (columns if config.untied else 1) + views,
        multiply_adds=columns * hidden * (inputs + outputs) + before * views,
        **_kept_by_mlp(columns, inputs, hidden, outputs, config, more_values=projected),
        live=_live_in_mlp(columns, inputs, hidden),
    )


def _vit(config: ViTConfig) -> Iterator[LayerCost]:
    tokens, width = config.num_tokens, config.hidden_dim
    yield _stem("embedding", config)
    if config.classifier == "token":
        yield LayerCost("class_token", (tokens, width), width)
    dropped = _kept(masks=tokens * width if config.dropout else 0)
    yield LayerCost("posembed_input", (tokens, width), tokens * width, **dropped)
    for _ in range(config.num_blocks):
        yield _first_norm("encoderblock/LayerNorm_0", (tokens, width))
        yield LayerCost(
            "encoderblock/attention",
            (tokens, width),
            parameters=4 * _dense(width, width),
            multiply_adds=4 * tokens * width**2 + 2 * tokens**2 * width,
            **_kept_by_attention(config),
            live=5 * tokens * width + 2 * config.num_heads * tokens**2,
        )
        yield _norm("encoderblock/LayerNorm_2", (tokens, width))
        yield _mlp("encoderblock/mlp", (tokens, width), config.channels_mlp_dim, config)
    yield _norm("encoder_norm", (tokens, width))
    features = config.representation_size or width
    if config.representation_size:
        yield _product("pre_logits", width, features)
    yield from _head(features, config.num_classes)


def _kept_by_attention(config: ViTConfig) -> dict[str, int]:
    """Input, queries, keys, values, output before its projection; and the attention weights."""
    values = config.num_tokens * config.hidden_dim
    weights = config.num_heads * config.num_tokens**2
    masks = values if config.dropout else 0
    if config.attention_dropout:
        return _kept(5 * values + weights, exact=weights, masks=masks + weights)
    return _kept(5 * values, exact=weights, casts=weights, masks=masks)


def _bit(config: BiTConfig) -> Iterator[LayerCost]:
    height, width = map(_half, config.image_size)
    positions = height * width
    root = 7 * 7 * 3 * config.width
    pixels = 3 * math.prod(config.image_size)
    shape = (height, width, config.width)
    padded = (height + 2) * (width + 2) * config.width
    height, width = _half(height), _half(width)  # max-pooling
    pooled = height * width * config.width
    kept, live = _kept(pixels + padded + pooled), pixels + 2 * padded
    yield LayerCost("root_block", shape, root, positions * root, **kept, live=live)
    for unit in config.units():
        before = height * width
        if unit.stride > 1:
            height, width = _half(height), _half(width)
        yield _unit(unit, before, (height, width))
    features = config.num_features
    shape, size = (height, width, features), height * width * features
    # What GroupNorm has centered, what it has normalized, and the output of ReLU.
    yield LayerCost("group_norm", shape, 2 * features, **_kept(exact=3 * size), live=3 * size)
    yield from _head(features, config.num_classes)


def _unit(unit: Unit, before: int, grid: tuple[int, int]) -> LayerCost:
    """A bottleneck unit: 1x1, 3x3 and 1x1 convolutions, each after GroupNorm and ReLU."""
    after, channels = math.prod(grid), unit.channels
    narrow = unit.inputs * channels
    wide = 9 * channels**2 + channels * unit.outputs
    wide += unit.inputs * unit.outputs if unit.has_projection else 0
    normalized = before * (unit.inputs + channels) + after * channels
    return LayerCost(
        f"block{unit.block}/unit",
        (*grid, unit.outputs),
        parameters=narrow + wide + 2 * (unit.inputs + 2 * channels),
        multiply_adds=before * narrow + after * wide,
        **_kept(exact=3 * normalized, casts=normalized),
        live=before * (4 * unit.inputs + channels) + after * unit.outputs,
        live_backward=16 * before * unit.inputs,  # measured; GroupNorm has many small operations
        block_input=before * unit.inputs,
    )


def _stem(name: str, config: MixerConfig | ViTConfig) -> LayerCost:
    rows, columns = config.grid
    inputs, patches = 3 * config.patch_size**2, rows * columns
    width = config.hidden_dim
    return LayerCost(
        name,
        (rows, columns, width),
        parameters=_dense(inputs, width),
        multiply_adds=patches * inputs * width,
        **_kept(patches * inputs),
        live=patches * (2 * inputs + width),
    )


def _norm(name: str, shape: tuple[int, int]) -> LayerCost:
    """LayerNorm keeps its input and its scale in float32; its output is that of the layer after."""
    values = math.prod(shape)
    kept = _kept(exact=2 * values + 2 * shape[0])  # and the mean and the deviation of each token
    return LayerCost(name, shape, 2 * shape[-1], **kept, live=4 * values)


def _first_norm(name: str, shape: tuple[int, int]) -> LayerCost:
    """The LayerNorm that a block starts with."""
    return dataclasses.replace(_norm(name, shape), block_input=math.prod(shape))


def _mlp(name: str, shape: tuple[int, int], hidden: int, config) -> LayerCost:
    rows, width = shape
    return LayerCost(
        name,
        shape,
        parameters=_dense(width, hidden) + _dense(hidden, width),
        multiply_adds=2 * rows * width * hidden,
        **_kept_by_mlp(rows, width, hidden, width, config),
        live=_live_in_mlp(rows, width, hidden),
    )


def _kept_by_mlp(
    rows: int, inputs: int, hidden: int, outputs: int, config, more_values: int = 0
) -> dict[str, int]:
    """The inputs of both layers and of GELU."""
    masks = rows * (hidden + outputs) if config.dropout else 0
    return _kept(rows * (inputs + 2 * hidden) + more_values, masks=masks)


def _live_in_mlp(rows: int, inputs: int, hidden: int) -> int:
    return rows * (2 * inputs + 4 * hidden)


def _head(features: int, num_classes: int) -> Iterator[LayerCost]:
    if num_classes:
        yield _product("head", features, num_classes)


def _product(name: str, inputs: int, outputs: int) -> LayerCost:
    return LayerCost(
        *(name, (outputs,), _dense(inputs, outputs), inputs * outputs),
        **_kept(exact=inputs),
        live=inputs + outputs,
    )


def _dense(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def _half(side: int) -> int:
    """Returns the output side of a layer with stride 2 and the padding of BiT, in pixels."""
    return (side + 1) // 2
