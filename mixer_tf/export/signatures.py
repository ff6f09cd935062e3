# SPDX-License-Identifier: Apache-2.0
"""The graphs of an exported model, one for each signature of mixer_tf/serving/contract.py.

They run in plain TensorFlow; they decode, crop and rescale images as the evaluation does.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from mixer_tf import features
from mixer_tf.images.preprocessing import decode_and_crop_all
from mixer_tf.images.scans import assert_few_scans
from mixer_tf.models.base import ConfiguredModel
from mixer_tf.recipes.schema import Recipe
from mixer_tf.serving import contract
from mixer_tf.serving.contract import CLASS_NAMES, PRE_LOGITS, PROBABILITIES

_MAGIC = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM")
_STRINGS = tf.TensorSpec([None], tf.string)


class ServedModel(tf.Module):
    """The weights and the graphs, without Keras' layers and optimizer.

    Args:
        model: the model in float32; the graphs use its variables.
        recipe: the recipe, which says how an image becomes the model's input.
        class_names: names of the classes in label order.
    """

    def __init__(self, model: ConfiguredModel, recipe: Recipe, class_names: Sequence[str]):
        super().__init__()
        self.weights = model.variables
        side = recipe.model.image_size
        pixels_spec = tf.TensorSpec([None, side, side, 3], tf.uint8)
        activation = {"softmax": tf.nn.softmax, "sigmoid": tf.nn.sigmoid}[recipe.training.loss]
        network = model.intermediates("pre_logits", "logits")
        names = tf.constant(list(class_names))

        @_graph(_STRINGS)
        def decode(image_bytes):
            checks = [_assert_images(image_bytes), assert_few_scans(image_bytes)]
            with tf.control_dependencies(checks):
                image_bytes = tf.identity(image_bytes)
            return decode_and_crop_all(image_bytes, recipe.data.crop, side)

        # In the graph of its callers, Grappler would rewrite the power in GELU before it looks for
        # products, biases and GELUs to compute at once.
        @_graph(pixels_spec, _noinline=True)
        def infer(pixels):
            outputs = network(pixels, training=False)
            return {
                PRE_LOGITS: outputs["pre_logits"],  # [N, hidden_dim]
                PROBABILITIES: activation(outputs["logits"]),  # [N, num_classes]
            }

        @_graph(pixels_spec)
        def classify(pixels):
            best = tf.math.top_k(
                infer(pixels)[PROBABILITIES], min(contract.TOP_K, len(class_names))
            )
            return {CLASS_NAMES: tf.gather(names, best.indices), PROBABILITIES: best.values}

        @_graph(pixels_spec)
        def classify_pixels(pixels):
            # A session does not compare what it is fed with the shape of the signature, and a size
            # with the same number of patches, such as 32 x 8 for 16 x 16, would get an answer.
            return classify(tf.ensure_shape(pixels, pixels_spec.shape))

        @_graph(_STRINGS)
        def classify_encoded(image_bytes):
            return classify(decode(image_bytes))

        @_graph(_STRINGS)
        def extract_features(image_bytes):
            return {PRE_LOGITS: infer(decode(image_bytes))[PRE_LOGITS]}

        @_graph(_STRINGS)
        def classify_examples(examples):
            spec = {features.ENCODED: tf.io.FixedLenFeature([], tf.string)}
            with tf.control_dependencies([_assert_messages(examples)]):
                encoded = tf.io.parse_example(examples, spec)[features.ENCODED]
            return {PROBABILITIES: infer(decode(encoded))[PROBABILITIES]}

        self.functions = {
            contract.SERVING_SIGNATURE: classify_encoded,
            contract.PIXELS_SIGNATURE: classify_pixels,
            contract.FEATURES_SIGNATURE: extract_features,
            contract.EXAMPLES_SIGNATURE: classify_examples,
        }


def _graph(spec: tf.TensorSpec, **attributes):
    """Returns a decorator: tf.function for one input, traced once for all its callers."""
    return tf.function(
        input_signature=[spec], autograph=False, experimental_attributes=attributes or None
    )


def _assert_messages(examples: tf.Tensor) -> tf.Operation:
    """Fails the request for corrupt messages, at some of which `parse_example` crashes.

    The assertion only keeps the check in the graph: Grappler removes operations without a state.
    """
    sizes = tf.io.decode_proto(examples, "tensorflow.Example", [], [], sanitize=True).sizes
    return tf.debugging.Assert(tf.shape(sizes)[0] == tf.shape(examples)[0], ["corrupt tf.Example"])


def _assert_images(image_bytes: tf.Tensor) -> tf.Operation:
    """Fails the request, with the positions of the bytes that are not an image."""
    starts = [tf.strings.substr(image_bytes, 0, len(magic)) == magic for magic in _MAGIC]
    is_image = tf.reduce_any(starts, axis=0)
    return tf.debugging.Assert(
        tf.reduce_all(is_image),
        [
            "image_bytes must be JPEG, PNG, GIF or BMP files; not the case at these positions:",
            tf.where(~is_image)[:, 0],
        ],
    )
