# SPDX-License-Identifier: Apache-2.0
"""Gradient accumulation: a batch that does not fit into memory is computed in equal parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

# (number of the part, x, y, sample weight or None) -> (gradients, predictions [N, num_classes])
Compute = Callable[..., tuple[Sequence[tf.Tensor], tf.Tensor]]


def accumulate(
    compute: Compute, data, variables: Sequence[tf.Variable], num_parts: int, num_classes: int
) -> tuple[Sequence[tf.Tensor], tf.Tensor]:
    """Returns the gradients of the mean loss of a batch, and its predictions.

    The parts are computed one after the other, so that the activations of a single one are in
    memory; their gradients are summed in the type of the weights. As in the authors' code
    (vit_jax/utils.py `accumulate_gradient`), the result is the mean over the parts.

    Args:
        compute: returns the gradients of the mean loss of its examples, and the predictions.
        data: (x, y, sample weight or None) of a batch; the first axis of each is the example.
        variables: the weights that the gradients belong to.
        num_parts: number of parts, a divisor of the number of examples.
        num_classes: the last axis of the predictions, which are float32.
    """
    parts = [None if tensor is None else _split(tensor, num_parts) for tensor in data]
    part_size = parts[0].shape[1]
    predictions = tf.TensorArray(tf.float32, num_parts, element_shape=(part_size, num_classes))

    def add_part(index, sums, predictions):
        part = (None if tensors is None else tensors[index] for tensors in parts)
        gradients, y_pred = compute(index, *part)
        sums = [total + gradient for total, gradient in zip(sums, gradients, strict=True)]
        return index + 1, sums, predictions.write(index, y_pred)

    _, sums, predictions = tf.while_loop(
        lambda index, *_: index < num_parts,
        add_part,
        (tf.constant(0), [tf.zeros(v.shape, v.dtype) for v in variables], predictions),
        parallel_iterations=1,  # several would need the memory of several parts
        maximum_iterations=num_parts,
    )
    y_pred = tf.reshape(predictions.stack(), (-1, num_classes))
    return [total / num_parts for total in sums], y_pred


def _split(tensor: tf.Tensor, num_parts: int) -> tf.Tensor:
    """[N, ...] -> [num_parts, N / num_parts, ...]."""
    size = tensor.shape[0]
    if size and size % num_parts:
        raise ValueError(
            "training.accumulation_steps must divide the number of examples of a device; got "
            f"{num_parts} steps for {size} examples."
        )
    return tf.reshape(tensor, (num_parts, size // num_parts if size else -1, *tensor.shape[1:]))
