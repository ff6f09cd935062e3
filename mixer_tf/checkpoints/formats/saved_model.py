# SPDX-License-Identifier: Apache-2.0
"""The weights in a SavedModel exported by this project; its graphs are not loaded."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator

import tensorflow as tf
from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

from mixer_tf.checkpoints.lazy_arrays import LazyArrays
from mixer_tf.checkpoints.model_weights import flax_name

# First component of the weight names in Mixer, ViT and BiT; any other variables are optimizer
# state.
_WEIGHT = re.compile(
    r"(stem|MixerBlock_\d+|pre_head_layer_norm|head"
    r"|embedding|class_token|posembed_input|encoderblock_\d+|encoder_norm|pre_logits"
    r"|root_block|block\d+|group_norm)/"
)


@contextlib.contextmanager
def open_saved_model(path: str) -> Iterator[LazyArrays]:
    """Opens the variables of a SavedModel under the names that they had in the model."""
    reader = tf.train.load_checkpoint(os.path.join(path, "variables", "variables"))
    graph = TrackableObjectGraph.FromString(reader.get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH"))
    keys = {
        flax_name(attribute.full_name): attribute.checkpoint_key
        for node in graph.nodes
        for attribute in node.attributes
        if _WEIGHT.match(attribute.full_name)
    }
    shapes = reader.get_variable_to_shape_map()
    yield LazyArrays(
        {name: tuple(shapes[key]) for name, key in keys.items()},
        lambda name: reader.get_tensor(keys[name]),
    )
