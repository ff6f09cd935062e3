# SPDX-License-Identifier: Apache-2.0
"""The base class of all networks, a functional Keras model built from a config; and their head."""

from __future__ import annotations

import dataclasses

from tensorflow import keras

from mixer_tf.models.layers import Dense


class ConfiguredModel(keras.Model):
    """A functional Keras model that a validated configuration describes completely.

    A subclass defines `config_class`, a dataclass with `image_size`, and `build_graph`, which
    applies its layers to symbolic pixels.

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

    def get_config(self):
        fields = dataclasses.asdict(self.config)
        return {"name": self.name, "dtype": self.dtype_policy.name, **fields}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(**config)


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
