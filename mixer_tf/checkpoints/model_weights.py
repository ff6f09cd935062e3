# SPDX-License-Identifier: Apache-2.0
"""The weights of a Keras model under the names of the authors' checkpoints."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from mixer_tf.checkpoints.lazy_arrays import LazyArrays

_AUTHORS = {"gamma": "scale", "beta": "bias"}  # of a LayerNorm: Keras' word → the authors'


def named_variables(model: tf.keras.Model) -> dict[str, tf.Variable]:
    """Returns the model's variables by the authors' names, in the order of the network."""
    return {
        authors_name(weight.name[weight.name.rfind(f"{layer.name}/") :]): weight
        for layer in model.layers
        for weight in layer.weights
    }


def authors_name(name: str) -> str:
    """Returns "stem/bias" for "stem/bias:0", and "…/scale" for "…/gamma"."""
    module, _, parameter = name.removesuffix(":0").rpartition("/")
    return f"{module}/{_AUTHORS.get(parameter, parameter)}"


def stored_in(model: tf.keras.Model) -> LazyArrays:
    """Returns a model's own weights as if they lay in a file."""
    variables = named_variables(model)
    return LazyArrays(shapes_of(variables), lambda name: variables[name].numpy())


def shapes_of(variables: dict[str, tf.Variable]) -> dict[str, tuple[int, ...]]:
    """Returns the shape of each variable."""
    return {name: tuple(variable.shape) for name, variable in variables.items()}


def assign(variables: dict[str, tf.Variable], stored: LazyArrays) -> None:
    """Copies arrays into variables of the same names and shapes, one at a time."""
    for name, variable in variables.items():
        variable.assign(np.asarray(stored.read(name), variable.dtype.as_numpy_dtype))
