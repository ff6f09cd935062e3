# SPDX-License-Identifier: Apache-2.0
"""`MixerB16(...)` and the other six models of the paper, with the interface of keras.applications.

As in recent models of keras.applications, rescaling is part of the model: inputs are pixel values
0 to 255.
"""

from __future__ import annotations

import os

from tensorflow import keras
from tensorflow.keras import layers

from mixer_tf import storage
from mixer_tf.checkpoints import loading
from mixer_tf.checkpoints.downloading import find_weights
from mixer_tf.models.mixer_config import MixerConfig
from mixer_tf.models.mlp_mixer import MlpMixer
from mixer_tf.models.registry import resolve

# Deviation: without the top, keras.applications allows unknown height and width. A Mixer does not,
# because every token-mixing MLP has one input per patch.
_DEFAULT_SHAPE = (224, 224, 3)
_KERAS_FILES = (".h5", ".hdf5", ".keras")

_DOCSTRING = """{name} of the MLP-Mixer paper (arXiv:2105.01601), as a functional Keras model.

    Shape: uint8 or float [N, H, W, 3] with values 0 to 255 -> float32 [N, classes], or features
    with `include_top=False`; see `pooling`.

    Args:
        include_top: whether to include the classification head.
        weights: None for random initialization; the path of a weights file or TensorFlow checkpoint
            that Keras saved, or of a checkpoint that `mixer_tf.load_weights` reads; or the name of
            published weights ("imagenet21k").
        input_tensor: optional Keras tensor [N, H, W, 3] to use as the image.
        input_shape: (H, W, 3), in multiples of the patch size; (224, 224, 3) by default.
        pooling: without the top, None for the grid of tokens [N, H/P, W/P, C] after the last
            LayerNorm; "avg" or "max" for [N, C], pooled over the tokens.
        classes: with the top, the number of classes.
        classifier_activation: with the top, "softmax" or another activation; None for logits.
        name: name of the model.

    Raises:
        ValueError: an argument is not possible, or `weights` do not fit.
    """


def _constructor(preset: str, class_name: str):
    """Returns the constructor of one model of the paper."""

    def construct(
        include_top=True,
        weights=None,
        input_tensor=None,
        input_shape=None,
        pooling=None,
        classes=1000,
        classifier_activation="softmax",
        name=preset,
    ) -> keras.Model:
        _check_pooling(pooling)
        path = None if weights is None else _find_weights(preset, os.fspath(weights))
        image = _image(input_tensor, input_shape)
        config = resolve(
            preset,
            image_size=tuple(image.shape[1:3]),
            num_classes=_checked_classes(classes) if include_top else 0,
        )
        tensors = MlpMixer.build_graph(image, config, keras.mixed_precision.global_policy())
        if include_top:
            output = _predictions(tensors["logits"], classifier_activation)
        else:
            output = _features(tensors, pooling, config)
        inputs = image if input_tensor is None else keras.utils.get_source_inputs(input_tensor)
        model = keras.Model(inputs, output, name=name)
        if path is not None:
            _load(model, path)
        return model

    construct.__name__ = construct.__qualname__ = class_name
    construct.__doc__ = _DOCSTRING.format(name=class_name)
    return construct


MixerS32 = _constructor("mixer_s32", "MixerS32")
MixerS16 = _constructor("mixer_s16", "MixerS16")
MixerB32 = _constructor("mixer_b32", "MixerB32")
MixerB16 = _constructor("mixer_b16", "MixerB16")
MixerL32 = _constructor("mixer_l32", "MixerL32")
MixerL16 = _constructor("mixer_l16", "MixerL16")
MixerH14 = _constructor("mixer_h14", "MixerH14")


def _predictions(logits, classifier_activation):
    if classifier_activation is None:
        return logits
    policy = logits.dtype.name
    return layers.Activation(classifier_activation, name="predictions", dtype=policy)(logits)


def _features(tensors, pooling: str | None, config: MixerConfig):
    tokens = tensors["pre_head_layer_norm"]  # [N, S, C]
    if pooling == "avg":
        return tensors["pre_logits"]  # [N, C]
    if pooling == "max":
        return layers.GlobalMaxPooling1D(name="max_pool")(tokens)  # [N, C]
    return layers.Reshape((*config.grid, config.hidden_dim), name="grid")(tokens)


def _image(input_tensor, input_shape):
    """Returns the symbolic image [N, H, W, 3], the input of the network."""
    if input_tensor is None:
        return keras.Input(_checked_shape(input_shape or _DEFAULT_SHAPE), name="pixels")
    if not keras.backend.is_keras_tensor(input_tensor):
        input_tensor = keras.Input(tensor=input_tensor)
    _checked_shape(input_tensor.shape[1:])
    return input_tensor


def _checked_shape(shape) -> tuple[int, int, int]:
    shape = tuple(shape)
    if len(shape) != 3 or shape[2] != 3 or None in shape:
        raise ValueError(
            f"input_shape must be (height, width, 3); got {shape}. "
            "Both sides must be known, since every token-mixing MLP has one input per patch."
        )
    return shape


def _find_weights(preset: str, weights: str) -> str:
    return weights if _is_keras(weights) else find_weights(preset, weights)


def _load(model: keras.Model, path: str) -> None:
    if _is_keras(path):
        model.load_weights(path)
    else:
        loading.load_weights(model, path)


def _is_keras(path: str) -> bool:
    """Whether it is a weights file or a TensorFlow checkpoint that Keras saved."""
    is_file = path.endswith(_KERAS_FILES) and storage.exists(path)
    return is_file or storage.exists(f"{path}.index")


def _checked_classes(classes: int) -> int:
    if classes < 1:
        raise ValueError(
            f"classes must be at least 1 with the top; got {classes}. "
            "Use include_top=False for features."
        )
    return classes


def _check_pooling(pooling) -> None:
    if pooling not in (None, "avg", "max"):
        raise ValueError(f"pooling must be None, 'avg' or 'max'; got {pooling!r}.")
