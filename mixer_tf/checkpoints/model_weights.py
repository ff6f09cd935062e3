# SPDX-License-Identifier: Apache-2.0
"""The weights of a Keras model under the names of the authors' Flax checkpoints."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from mixer_tf.checkpoints.lazy_arrays import LazyArrays, Shape

_FLAX_PARAMETERS = {"gamma": "scale", "beta": "bias"}  # normalization layers: Keras → Flax


def named_variables(model: tf.keras.Model) -> dict[str, tf.Variable]:
    """Returns the model's variables by Flax name, in the order of the network."""
    return {
        flax_name(weight.name[weight.name.rfind(f"{layer.name}/") :]): weight
        for layer in model.layers
        for weight in layer.weights
    }


def flax_name(name: str) -> str:
    """Returns "stem/bias" for "stem/bias:0", and "…/scale" for "…/gamma"."""
    module, _, parameter = name.removesuffix(":0").rpartition("/")
    return f"{module}/{_FLAX_PARAMETERS.get(parameter, parameter)}"


def arrays_of(model: tf.keras.Model) -> LazyArrays:
    """Returns the weights of a model as if it were an open checkpoint."""
    variables = named_variables(model)
    return LazyArrays(shapes_of(variables), lambda name: variables[name].numpy())


def shapes_of(variables: dict[str, tf.Variable]) -> dict[str, Shape]:
    """Returns the shape of each variable."""
    return {name: tuple(variable.shape) for name, variable in variables.items()}


def check_readable(variables: dict[str, tf.Variable], arrays: LazyArrays) -> None:
    """Reads each array once, and drops it, so that `assign` does not stop at a corrupt one.

    A second reading costs less than a second copy of all weights in memory.
    """
    for name, variable in variables.items():
        _value(name, variable, arrays)


def assign(variables: dict[str, tf.Variable], arrays: LazyArrays) -> None:
    """Copies arrays, one at a time, into the variables of the same names.

    The shapes may differ as published shapes do: [1, 1, C, classes] for a kernel [C, classes].
    """
    for name, variable in variables.items():
        variable.assign(_value(name, variable, arrays))


def _value(name: str, variable: tf.Variable, arrays: LazyArrays) -> np.ndarray:
    array = np.asarray(arrays.read(name), variable.dtype.as_numpy_dtype)
    return array.reshape(variable.shape)
