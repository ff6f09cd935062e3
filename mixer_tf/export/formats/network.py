# SPDX-License-Identifier: Apache-2.0
"""What is converted: the trained network from pixels to the probabilities of all classes."""

from __future__ import annotations

import tensorflow as tf

from mixer_tf.export.loading import Export
from mixer_tf.serving.contract import PIXELS, PROBABILITIES

ACTIVATIONS = {"softmax": tf.nn.softmax, "sigmoid": tf.nn.sigmoid}


def pixels_spec(export: Export, batch_size: int | None) -> tf.TensorSpec:
    """Returns the input, uint8 [batch_size, H, W, 3]; None for any batch size."""
    return tf.TensorSpec([batch_size, *export.model.config.image_size, 3], tf.uint8, name=PIXELS)


def probabilities_function(export: Export, batch_size: int | None):
    """Returns a tf.function: pixels -> {"probabilities": float32 [batch_size, num_classes]}."""
    activation = ACTIVATIONS[export.recipe.training.loss]

    @tf.function(input_signature=[pixels_spec(export, batch_size)], autograph=False)
    def classify(pixels):
        return {PROBABILITIES: activation(export.model(pixels, training=False))}

    return classify
