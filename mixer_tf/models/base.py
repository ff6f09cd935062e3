# SPDX-License-Identifier: Apache-2.0
"""The base class of all networks, a functional Keras model built from a config; and their head."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from tensorflow import keras

from mixer_tf.models.layers import Dense


class ConfiguredModel(keras.Model):
    """A functional Keras model that a validated configuration describes completely.

    A subclass defines `config_class`, a dataclass with `image_size`, and `build_graph`, which
    applies its layers to symbolic pixels. Whether each layer is trainable is part of the Keras
    config, so copies and saved models keep frozen layers.

    Args:
        name: name of the model; None for the name of the class.
        dtype: a Keras dtype policy or its name, such as "mixed_bfloat16"; None for the global one.
        **fields: the fields of `config_class`.

    Attributes:
        config: the configuration.

    Raises:
        TypeError, ValueError: a field has an impossible value.
        ValueError: the network of another class is needed for the configuration.
    """

    config_class: type
    builds_ablations = False  # whether `build_graph` follows the ablations of the configuration
    _restored_flags: dict[str, bool] | None = None  # those of the config that it is built from

    def __init_subclass__(cls, **kwargs):
        """HDF5 files and JSON name the class of a model without its package, so register it so."""
        super().__init_subclass__(**kwargs)
        keras.saving.get_custom_objects().setdefault(cls.__name__, cls)

    @classmethod
    def build_graph(cls, pixels, config, policy) -> dict[str, object]:
        """Returns {name of the intermediate: symbolic tensor}, in order; the output is the last."""
        raise NotImplementedError

    def __init__(self, *, name: str | None = None, dtype=None, **fields):
        config = self.config_class(**fields)
        self._check_ablations(config)
        policy = keras.layers.Layer(dtype=dtype).dtype_policy  # resolves None and names
        pixels = keras.Input((*config.image_size, 3), name="pixels")
        tensors = self.build_graph(pixels, config, policy)
        *_, output = tensors.values()
        super().__init__(pixels, output, name=name)
        self.config = config
        self._layer_names = {key: tensor.node.layer.name for key, tensor in tensors.items()}
        self._set_dtype_policy(dtype)  # so that `compile` scales the loss for float16

    @classmethod
    def _check_ablations(cls, config) -> None:
        ablations = () if cls.builds_ablations else getattr(config, "ablations", ())
        if ablations:
            raise ValueError(
                f"{cls.__name__} builds the paper's own model, without ablations; "
                f"got {', '.join(ablations)}. Use create_model or AblationMixer."
            )

    def intermediates(self, *names: str) -> keras.Model:
        """Returns a model with the same weights that maps pixels to {name: tensor}.

        Args:
            *names: some of the intermediates that the docstring of the class lists; all by default.

        Raises:
            ValueError: there is no intermediate with that name.
        """
        layers = self._layer_names
        for name in names:
            if name not in layers:
                raise ValueError(
                    f"an intermediate must be one of {', '.join(layers)}; got {name!r}."
                )
        outputs = {name: self.get_layer(layers[name]).output for name in names or layers}
        return keras.Model(self.inputs, outputs, name=f"{self.name}_intermediates")

    @property
    def layer_names(self) -> dict[str, str]:
        """Name of each intermediate -> name of the Keras layer that returns it."""
        return dict(self._layer_names)

    def named_layers(self) -> Iterator[tuple[str, keras.layers.Layer]]:
        """Yields (path, layer) of all layers with weights, such as MixerBlock_0/token_mixing."""
        for path, layer, _ in _layers_with_weights(self):
            yield path, layer

    def get_config(self):
        fields = dataclasses.asdict(self.config)
        config = {"name": self.name, "dtype": self.dtype_policy.name, **fields}
        flags = _trainable_flags(self)
        return {**config, "trainable_flags": flags} if flags else config

    @classmethod
    def from_config(cls, config, custom_objects=None):
        if "layers" in config:
            raise TypeError(
                f"the config must be that of a {cls.__name__} of mixer_tf; got one of another "
                "class with the same name. Rename that class, or load the model without mixer_tf."
            )
        fields = {**config}
        flags = fields.pop("trainable_flags", {})
        model = cls(**fields)
        model._restored_flags = dict(flags)
        _set_trainable_flags(model, model._restored_flags)
        return model

    def _set_dtype_policy(self, dtype):
        # After `from_config`, load_model sets `trainable` of a SavedModel, and thereby that of all
        # its layers, and then calls this.
        super()._set_dtype_policy(dtype)
        if self._restored_flags is not None:
            _set_trainable_flags(self, self._restored_flags)


def _layers_with_weights(layer, path: str = "") -> Iterator[tuple[str, object, object]]:
    """Yields (path, layer, parent) of all inner layers with weights, each after its parent."""
    for inner in layer._flatten_layers(recursive=False, include_self=False):
        if inner.weights:  # the others have automatic names, and their flag has no effect
            yield f"{path}{inner.name}", inner, layer
            yield from _layers_with_weights(inner, f"{path}{inner.name}/")


def _trainable_flags(model) -> dict[str, bool]:
    """Returns {path of a layer: trainable} where it differs from the parent's; "" is the model."""
    flags = {} if model.trainable else {"": False}
    for path, layer, parent in _layers_with_weights(model):
        if layer.trainable != parent.trainable:
            flags[path] = layer.trainable
    return flags


def _set_trainable_flags(model, flags: dict[str, bool]) -> None:
    """Restores what `_trainable_flags` returned.

    Raises:
        ValueError: the model does not have one of the layers.
    """
    layers = {"": model, **{path: layer for path, layer, _ in _layers_with_weights(model)}}
    unknown = [path for path in flags if path not in layers]
    if unknown:
        raise ValueError(
            f"trainable_flags must name layers of {model.name}; got {', '.join(unknown)}. "
            "Save the model again with this version of mixer_tf."
        )
    model.trainable = True
    for path, layer in layers.items():
        if path in flags:
            layer.trainable = flags[path]  # and that of the layers in it


def classification_head(config, dtype) -> keras.layers.Layer:
    """Returns a new classifier: before training, every logit is `head_bias_init`.

    Shape: [N, features] -> [N, num_classes].
    """
    return Dense(
        config.num_classes,
        kernel_initializer="zeros",
        bias_initializer=keras.initializers.Constant(config.head_bias_init),
        name="head",
        dtype=dtype,
    )
