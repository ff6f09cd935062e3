# SPDX-License-Identifier: Apache-2.0
"""Classifies images with an exported model in this process, by the signature for model servers."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from mixer_tf import features
from mixer_tf.serving import contract, locations, prediction
from mixer_tf.serving.prediction import Prediction


class Predictor:
    """An exported model, ready to classify encoded images.

    Attributes:
        model_dir: path of the SavedModel.
        class_names: names of the classes in label order.
    """

    def __init__(self, model_dir: str):
        """Loads a SavedModel.

        Args:
            model_dir: path of the SavedModel, as `locations.resolve_saved_model` returns it.

        Raises:
            ValueError: the model does not load, or mixer_tf did not export it.
        """
        self.model_dir = model_dir
        self.class_names = tuple(
            json.loads(locations.read_asset(model_dir, contract.CLASS_NAMES_FILE))
        )
        self._model = _load(model_dir)
        self._classify = self._model.signatures[contract.SERVING_SIGNATURE]

    def classify(self, encoded: Sequence[bytes]) -> list[list[Prediction]]:
        """Returns the most probable classes of each image, in descending order.

        There are `contract.TOP_K` of them, as it was at export, or as many as there are classes.

        Args:
            encoded: images that passed `images.check`.

        Raises:
            tf.errors.InvalidArgumentError: one of them is not an image.
        """
        outputs = self._classify(**{contract.IMAGE_BYTES: tf.constant(list(encoded), tf.string)})
        return prediction.from_arrays(
            outputs[contract.CLASS_NAMES].numpy(), outputs[contract.PROBABILITIES].numpy()
        )

    def probabilities(self, encoded: Sequence[bytes]) -> np.ndarray:
        """Returns the probabilities of all classes, float32 [N, C], by the signature `examples`.

        Args:
            encoded: images that passed `images.check`.

        Raises:
            ValueError: the model does not have the signature.
            tf.errors.InvalidArgumentError: one of them is not an image.
        """
        signature = self._model.signatures.get(contract.EXAMPLES_SIGNATURE)
        if signature is None:
            raise ValueError(
                f"a model must have the signature {contract.EXAMPLES_SIGNATURE}, which returns the "
                f"probabilities of all classes; {self.model_dir} does not. Export it with mixer_tf."
            )
        examples = tf.constant(_encoded_examples(encoded), tf.string)
        outputs = signature(**{contract.EXAMPLES: examples})
        return outputs[contract.PROBABILITIES].numpy()


def _encoded_examples(encoded: Sequence[bytes]) -> list[bytes]:
    from tensorflow.core.example import example_pb2

    examples = []
    for image in encoded:
        example = example_pb2.Example()
        example.features.feature[features.ENCODED].bytes_list.value.append(image)
        examples.append(example.SerializeToString())
    return examples


def _load(model_dir: str):
    try:
        model = tf.saved_model.load(model_dir)
    except Exception as error:  # TensorFlow raises many kinds for a corrupt model
        raise ValueError(f"{model_dir} must load as a SavedModel; {error}") from error
    signature = model.signatures.get(contract.SERVING_SIGNATURE)
    inputs = signature.structured_input_signature[1] if signature else {}
    if contract.IMAGE_BYTES not in inputs:
        raise ValueError(
            f"a model must have the signature {contract.SERVING_SIGNATURE} with the input "
            f"{contract.IMAGE_BYTES}; {model_dir} does not. Export it with mixer_tf."
        )
    return model
