# SPDX-License-Identifier: Apache-2.0
"""Asks an exported model in this process, through the signature that a model server offers."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Sequence

import tensorflow as tf

_SIGNATURE, _INPUT = "serving_default", "image_bytes"
_CLASS_NAMES_FILE = os.path.join("assets.extra", "class_names.json")


@dataclasses.dataclass(frozen=True)
class Prediction:
    """A class, and how probable the model takes it to be."""

    class_name: str
    probability: float


class Predictor:
    """An exported model, ready to classify encoded images.

    Attributes:
        model_dir: where it lies.
        class_names: in label order.
    """

    def __init__(self, model_dir: str):
        """Loads a SavedModel.

        Args:
            model_dir: see `locations.find_model`.

        Raises:
            ValueError: it does not load, or `mixer_tf` did not export it.
        """
        self.model_dir = model_dir
        self.class_names = _read_class_names(model_dir)
        self._model = _load(model_dir)
        self._classify = self._model.signatures[_SIGNATURE]

    def classify(self, encoded: Sequence[bytes]) -> list[list[Prediction]]:
        """Returns for each image the most probable classes, at most five, the best first.

        Args:
            encoded: images that `images.check` let through.

        Raises:
            tf.errors.InvalidArgumentError: one of them is no image.
        """
        outputs = self._classify(**{_INPUT: tf.constant(list(encoded), tf.string)})
        names, probabilities = outputs["class_names"].numpy(), outputs["probabilities"].numpy()
        return [
            [
                Prediction(name.decode(), float(probability))
                for name, probability in zip(*row, strict=True)
            ]
            for row in zip(names, probabilities, strict=True)
        ]


def _load(model_dir: str):
    try:
        model = tf.saved_model.load(model_dir)
    except Exception as error:  # whatever damaged files make TensorFlow raise
        raise ValueError(f"{model_dir} must load as a SavedModel; {error}") from error
    signature = model.signatures.get(_SIGNATURE)
    inputs = signature.structured_input_signature[1] if signature else {}
    if _INPUT not in inputs:
        raise ValueError(
            f"a model must have the signature {_SIGNATURE} with the input {_INPUT}; {model_dir} "
            "does not. Export it with mixer_tf."
        )
    return model


def _read_class_names(model_dir: str) -> tuple[str, ...]:
    path = os.path.join(model_dir, _CLASS_NAMES_FILE)
    if not tf.io.gfile.exists(path):
        raise ValueError(
            f"a model must hold {_CLASS_NAMES_FILE}; {model_dir} does not. Export it with mixer_tf."
        )
    with tf.io.gfile.GFile(path) as file:
        return tuple(json.load(file))
