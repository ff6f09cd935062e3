# SPDX-License-Identifier: Apache-2.0
"""The memory that training keeps, by formula, against the graph of a gradient in TensorFlow."""

import pytest
import tensorflow as tf
from harness import TINY_BIT, TINY_MIXER, TINY_VIT

from mixer_tf.factory import create_model
from mixer_tf.models import costs

_VIEWS = {"Identity", "IdentityN", "Reshape", "ExpandDims", "Squeeze", "StopGradient"}
_BATCH = 11  # no size of a kernel is a multiple of it
_MIXER, _VIT = dict(name="mixer", **TINY_MIXER), dict(name="vit", **TINY_VIT)
_BIT = dict(name="bit", **TINY_BIT)


def kept_by_tensorflow(model) -> int:
    """Bytes for one image of all tensors of the forward pass that the backward pass reads."""
    forward = set()

    @tf.function
    def gradients(pixels):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.cast(model(pixels, training=True), tf.float32) ** 2)
        forward.update(op.name for op in tf.compat.v1.get_default_graph().get_operations())
        return tape.gradient(loss, model.trainable_variables)

    spec = tf.TensorSpec([_BATCH, *model.input_shape[1:]], tf.float32)
    graph = gradients.get_concrete_function(spec).graph
    kept = {}
    for op in _needed([output.op for output in graph.outputs]):
        if op.name in forward or op.type == "Shape":
            continue
        for tensor in map(_memory_of, op.inputs):
            is_computed = tensor.op.name in forward and tensor.op.inputs
            if is_computed and tensor.shape.rank and tensor.shape[0] % _BATCH == 0:
                size = tensor.shape.num_elements() * tensor.dtype.size
                kept[tensor.name] = size // _BATCH
    return sum(kept.values())


def _needed(ops: list) -> list:
    """The operations that the outputs depend on; the others are never run."""
    found, waiting = {}, ops
    while waiting:
        op = waiting.pop()
        if op.name not in found:
            found[op.name] = op
            waiting += [*(tensor.op for tensor in op.inputs), *op.control_inputs]
    return list(found.values())


def _memory_of(tensor):
    """The tensor that has the memory: an operation that only changes the shape copies nothing."""
    while tensor.op.type in _VIEWS and len(tensor.op.inputs):
        tensor = tensor.op.inputs[tensor.value_index if tensor.op.type == "IdentityN" else 0]
    return tensor


@pytest.mark.parametrize(
    ("fields", "precision"),
    [
        (_MIXER, "float32"),
        ({**_MIXER, "dropout": 0.1, "stochastic_depth": 0.2}, "mixed_bfloat16"),
        ({**_MIXER, "exact_gelu": True, "channel_groups": 2, "channel_views": True}, "float32"),
        (_VIT, "mixed_bfloat16"),
        (
            {**_VIT, "classifier": "gap", "representation_size": 10, "attention_dropout": 0.1},
            "float32",
        ),
        (_BIT, "mixed_bfloat16"),
    ],
)
def test_what_training_keeps_is_what_tensorflow_reads_again(fields, precision):
    model = create_model(**fields, dtype=precision)
    found = kept_by_tensorflow(model)
    assert costs.kept_bytes(model.config, precision) == pytest.approx(found, rel=0.05)
