# SPDX-License-Identifier: Apache-2.0
"""What the metrics of an epoch have counted so far, for each device: to be saved and restored."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from mixer_tf.training import train_step

Values = list[list]  # for each variable, for each device of all workers: a number or nested lists


def read(model: tf.keras.Model) -> Values:
    """Returns the values of all variables of the metrics; all workers must call it.

    Sums over the devices would not do: added up in another order, they differ in the last bit.
    """
    variables, strategy = _variables(model), model.distribute_strategy
    if strategy.num_replicas_in_sync == 1:
        return [[variable.numpy().tolist()] for variable in variables]
    values = _run(strategy, lambda: [each.read_value()[tf.newaxis] for each in variables])
    return [strategy.gather(value, axis=0).numpy().tolist() for value in values]


def write(model: tf.keras.Model, values: Sequence[Sequence]) -> None:
    """Gives the variables the values that `read` has returned, within the strategy's scope.

    With another number of devices than then, the first one gets the sum.

    Raises:
        ValueError: the model has other metrics.
    """
    variables, strategy = _variables(model), model.distribute_strategy
    if len(variables) != len(values):
        raise ValueError(f"the model has {len(variables)} variables of metrics; got {len(values)}.")
    devices = strategy.num_replicas_in_sync
    arrays = [
        _for_devices(np.asarray(value, variable.dtype.as_numpy_dtype), devices)
        for variable, value in zip(variables, values, strict=True)
    ]

    def assign():
        index = tf.distribute.get_replica_context().replica_id_in_sync_group
        for variable, array in zip(variables, arrays, strict=True):
            variable.assign(tf.gather(tf.constant(array), index))

    _run(strategy, assign)


def _run(strategy: tf.distribute.Strategy, function: Callable[[], object]):
    """Runs a function on each device; those of a TPU accept nothing but a `tf.function`."""
    return strategy.run(tf.function(function, autograph=False))


def _variables(model: tf.keras.Model) -> list[tf.Variable]:
    return [v for metric in train_step.epoch_metrics(model) for v in metric.variables]


def _for_devices(values: np.ndarray, devices: int) -> np.ndarray:
    if len(values) == devices:
        return values
    changed = np.zeros([devices, *values.shape[1:]], values.dtype)
    changed[0] = values.sum(axis=0)
    return changed
