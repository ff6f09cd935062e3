# SPDX-License-Identifier: Apache-2.0
"""Parameters, multiply-adds and memory of a model and of each layer, by formula. No TensorFlow."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

from mixer_tf.models.bit_config import BiTConfig, Unit
from mixer_tf.models.mixer_config import MixerConfig
from mixer_tf.models.vit_config import ViTConfig

_FLOAT_BYTES = 4


@dataclasses.dataclass(frozen=True)
class LayerCost:
    """The cost of one layer for one image.

    Attributes:
        name: name of the layer, without the number of its block.
        output: shape of the output, without the batch.
        parameters: number of trainable parameters.
        multiply_adds: number of multiply-adds in matrix products and convolutions.
        kept: number of values of the forward pass that the gradient needs.
    """

    name: str
    output: tuple[int, ...]
    parameters: int
    multiply_adds: int = 0
    kept: int = 0


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


def weight_bytes(config) -> int:
    """Returns the memory of the float32 weights in bytes."""
    return _FLOAT_BYTES * count_parameters(config)


def training_activation_bytes(config) -> int:
    """Estimates the bytes that training keeps for one image until the backward pass, in float32.

    These are the inputs of all matrix products, normalization and activations. Kernels that are not
    fused keep more.
    """
    return _FLOAT_BYTES * sum(layer.kept for layer in layers(config))


def inference_activation_bytes(config) -> int:
    """Estimates the peak memory of the activations of one image at inference, in float32 bytes.

    It is the maximum over all layers of the values that a gradient would need, plus the output.
    """
    return _FLOAT_BYTES * max(layer.kept + math.prod(layer.output) for layer in layers(config))


def _mixer(config: MixerConfig) -> Iterator[LayerCost]:
    channels = config.hidden_dim
    yield _stem("stem", config)
    for block in range(config.num_blocks):
        (before, after), groups = config.tokens(block), config.channel_groups
        yield _norm("MixerBlock/LayerNorm_0", (before, channels))
        yield _token_mixing(config, before, after, groups)
        yield _norm("MixerBlock/LayerNorm_1", (after, channels))
        yield _mlp("MixerBlock/channel_mixing", (after, channels), config.channels_mlp_dim)
        tokens = after
    yield _norm("pre_head_layer_norm", (tokens, channels))
    yield from _head(channels, config.num_classes)


def _token_mixing(config: MixerConfig, before: int, after: int, groups: int) -> LayerCost:
    columns, hidden = config.hidden_dim // groups, config.tokens_mlp_dim
    inputs, outputs = groups * before, groups * after
    weights = _dense(inputs, hidden) + _dense(hidden, outputs)
    views = config.hidden_dim**2 if config.channel_views else 0
    return LayerCost(
        "MixerBlock/token_mixing",
        (after, config.hidden_dim),
        parameters=weights * (columns if config.untied else 1) + views,
        multiply_adds=columns * hidden * (inputs + outputs) + before * views,
        kept=columns * (inputs + 2 * hidden) + (before * config.hidden_dim if views else 0),
    )


def _vit(config: ViTConfig) -> Iterator[LayerCost]:
    tokens, width = config.num_tokens, config.hidden_dim
    yield _stem("embedding", config)
    if config.classifier == "token":
        yield LayerCost("class_token", (tokens, width), width)
    yield LayerCost("posembed_input", (tokens, width), tokens * width)
    for _ in range(config.num_blocks):
        yield _norm("encoderblock/LayerNorm_0", (tokens, width))
        yield LayerCost(
            "encoderblock/attention",
            (tokens, width),
            parameters=4 * _dense(width, width),
            multiply_adds=4 * tokens * width**2 + 2 * tokens**2 * width,
            # input, queries, keys, values, attention output; attention weights
            kept=5 * tokens * width + config.num_heads * tokens**2,
        )
        yield _norm("encoderblock/LayerNorm_2", (tokens, width))
        yield _mlp("encoderblock/mlp", (tokens, width), config.channels_mlp_dim)
    yield _norm("encoder_norm", (tokens, width))
    features = config.representation_size or width
    if config.representation_size:
        yield _product("pre_logits", width, features)
    yield from _head(features, config.num_classes)


def _bit(config: BiTConfig) -> Iterator[LayerCost]:
    height, width = map(_half, config.image_size)
    positions = height * width
    root = 7 * 7 * 3 * config.width
    pixels = 3 * math.prod(config.image_size)
    shape = (height, width, config.width)
    yield LayerCost("root_block", shape, root, positions * root, pixels + positions * config.width)
    height, width = _half(height), _half(width)  # max-pooling
    for unit in config.units():
        before = height * width
        if unit.stride > 1:
            height, width = _half(height), _half(width)
        yield _unit(unit, before, (height, width))
    features = config.num_features
    yield LayerCost(
        "group_norm", (height, width, features), 2 * features, kept=height * width * features
    )
    yield from _head(features, config.num_classes)


def _unit(unit: Unit, before: int, grid: tuple[int, int]) -> LayerCost:
    """A bottleneck unit: 1x1, 3x3 and 1x1 convolutions, each after GroupNorm and ReLU."""
    after, channels = math.prod(grid), unit.channels
    narrow = unit.inputs * channels
    wide = 9 * channels**2 + channels * unit.outputs
    wide += unit.inputs * unit.outputs if unit.has_projection else 0
    return LayerCost(
        f"block{unit.block}/unit",
        (*grid, unit.outputs),
        parameters=narrow + wide + 2 * (unit.inputs + 2 * channels),
        multiply_adds=before * narrow + after * wide,
        kept=2 * (before * (unit.inputs + channels) + after * channels),
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
        kept=patches * inputs,
    )


def _norm(name: str, shape: tuple[int, int]) -> LayerCost:
    return LayerCost(name, shape, 2 * shape[-1], kept=math.prod(shape))


def _mlp(name: str, shape: tuple[int, int], hidden: int) -> LayerCost:
    rows, width = shape
    return LayerCost(
        name,
        shape,
        parameters=_dense(width, hidden) + _dense(hidden, width),
        multiply_adds=2 * rows * width * hidden,
        kept=rows * (width + 2 * hidden),  # the input, and the hidden layer before and after GELU
    )


def _head(features: int, num_classes: int) -> Iterator[LayerCost]:
    if num_classes:
        yield _product("head", features, num_classes)


def _product(name: str, inputs: int, outputs: int) -> LayerCost:
    return LayerCost(name, (outputs,), _dense(inputs, outputs), inputs * outputs, inputs)


def _dense(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def _half(side: int) -> int:
    """Returns the output side of a layer with stride 2 and the padding of BiT, in pixels."""
    return (side + 1) // 2
