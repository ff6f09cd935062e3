# SPDX-License-Identifier: Apache-2.0
"""Keras files of a Mixer that open in plain Keras 2: stock layers instead of those of mixer_tf."""

from __future__ import annotations

import os
import tempfile

import numpy as np
import tensorflow as tf
from tensorflow import keras

from mixer_tf.export.formats import KERAS
from mixer_tf.export.loading import Export
from mixer_tf.models.layers import Conv2D, Dense, LayerNorm, Rescale
from mixer_tf.models.mlp_mixer import MlpMixer
from mixer_tf.serving.contract import PIXELS, PROBABILITIES


def convert(export: Export) -> bytes:
    """Returns the content of a file that Keras 2 opens without mixer_tf.

    Raises:
        ValueError: the model is not a Mixer, or has another ablation than groups of channels.
    """
    is_mixer = isinstance(export.model, MlpMixer)
    if not is_mixer or set(export.model.config.ablations) - {"channel_groups"}:
        raise ValueError(
            "a .keras file that opens without mixer_tf must be a Mixer whose only ablation is "
            f"channel_groups; this model is a {type(export.model).__name__}, whose layers plain "
            "Keras does not have. "
            "Use .tflite or .onnx, or open the model with mixer_tf and call model.save."
        )
    model = stock_model(export.model, export.recipe.training.loss)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, f"model{KERAS}")
        model.save(path)
        with open(path, "rb") as file:
            return file.read()


def stock_model(mixer: MlpMixer, activation: str) -> keras.Model:
    """Returns a model of Keras' own layers with the weights of a Mixer.

    Shape: uint8 [N, H, W, 3] -> [N, num_classes].

    Args:
        mixer: a Mixer without ablations, or that has groups of channels only, in float32.
        activation: name of the activation of the head, such as "softmax".
    """
    config = mixer.config
    pixels = keras.Input((*config.image_size, 3), dtype="uint8", name=PIXELS)
    x = Rescale()(pixels)
    x = Conv2D(config.hidden_dim, config.patch_size, strides=config.patch_size)(x)
    x = keras.layers.Reshape((config.num_tokens, config.hidden_dim))(x)
    for _ in range(config.num_blocks):
        x = _block(x, config)
    x = keras.layers.GlobalAveragePooling1D()(LayerNorm()(x))
    probabilities = Dense(config.num_classes, activation=activation, name=PROBABILITIES)(x)
    model = keras.Model(pixels, probabilities, name=mixer.name)
    model.set_weights(_weights(mixer))
    return model


def _weights(mixer: MlpMixer) -> list[np.ndarray]:
    """Returns the weights of a Mixer in the order of `stock_model`, which applies its layers."""
    layers = [mixer.get_layer("stem")]
    for i in range(mixer.config.num_blocks):
        block = mixer.get_layer(f"MixerBlock_{i}")
        layers += [block.norm_0, block.token_mixing, block.norm_1, block.channel_mixing]
    layers += [mixer.get_layer("pre_head_layer_norm"), mixer.get_layer("head")]
    return [array for layer in layers for array in layer.get_weights()]


def _block(x, config):
    """[N, S, C] -> [N, S, C]; see `MixerBlock`."""
    transpose = keras.layers.Permute((2, 1))
    y = transpose(LayerNorm()(x))  # [N, C, S]
    tokens, channels, groups = config.num_tokens, config.hidden_dim, config.channel_groups
    y = keras.layers.Reshape((channels // groups, groups * tokens))(y)
    y = _mlp(y, config.tokens_mlp_dim, groups * tokens, config.exact_gelu)
    y = keras.layers.Reshape((channels, tokens))(y)
    x = keras.layers.Add()([x, transpose(y)])
    y = _mlp(LayerNorm()(x), config.channels_mlp_dim, config.hidden_dim, config.exact_gelu)
    return keras.layers.Add()([x, y])


def _mlp(x, hidden: int, output: int, exact_gelu: bool):
    """[..., output] -> [..., output]; see `MlpBlock`."""
    return Dense(output)(tf.nn.gelu(Dense(hidden)(x), approximate=not exact_gelu))


class KerasModel:
    """A file of `convert`, ready to classify.

    Args:
        path: path of the file.
    """

    def __init__(self, path: str):
        model = keras.models.load_model(path, compile=False)
        pixels = tf.TensorSpec(model.input_shape, tf.uint8)
        self._classify = tf.function(
            lambda pixels: model(pixels, training=False), input_signature=[pixels], autograph=False
        )

    def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """uint8 [N, H, W, 3] -> float32 [N, num_classes]."""
        return self._classify(pixels).numpy()
