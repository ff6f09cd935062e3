# SPDX-License-Identifier: Apache-2.0
"""Converts a trained model to a file for another runtime, and compares the two on images."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterable, Sequence

import numpy as np

from mixer_tf import storage
from mixer_tf.export.formats import (
    FLOAT32,
    FORMATS,
    KERAS,
    ONNX,
    TFLITE,
    keras_file,
    onnx_file,
    tflite,
)
from mixer_tf.export.formats.network import probabilities_function
from mixer_tf.export.loading import Export
from mixer_tf.serving.contract import PROBABILITIES

# Suffix → what converts a model, and what opens the file.
_CONVERTERS = {ONNX: onnx_file.convert, KERAS: keras_file.convert}
_MODELS = {TFLITE: tflite.TfliteModel, ONNX: onnx_file.OnnxModel, KERAS: keras_file.KerasModel}


def check_target(target: str, precision: str) -> None:
    """Checks what a conversion is asked for, before anything is loaded.

    Raises:
        ValueError: the suffix or the precision is not possible.
        ImportError: a package is missing.
    """
    suffix = os.path.splitext(target)[1].lower()
    if suffix not in FORMATS:
        raise ValueError(f"TARGET must end in {', '.join(FORMATS)}; got {target!r}.")
    possible = FORMATS[suffix]
    if precision not in possible:
        raise ValueError(
            f"the precision of {suffix} must be {' or '.join(possible)}; got {precision}."
        )
    if suffix == ONNX:
        onnx_file.require_packages()


def convert(
    export: Export,
    target: str,
    precision: str = FLOAT32,
    images: Iterable[np.ndarray] = (),
) -> None:
    """Writes the file, which appears under its name only when it is complete.

    Args:
        export: the trained model.
        target: path of the file; its suffix says which format.
        precision: type of the weights; see `formats.FORMATS`.
        images: typical images for "int8", each uint8 [H, W, 3].

    Raises:
        ValueError, ImportError: see `check_target`, and the format cannot hold the model.
    """
    check_target(target, precision)
    suffix = os.path.splitext(target)[1].lower()
    if suffix == TFLITE:
        content = tflite.convert(export, precision, images)
    else:
        content = _CONVERTERS[suffix](export)
    storage.write_bytes(target, content)


@dataclasses.dataclass
class Measurement:
    """A model's predictions, and what they cost.

    Attributes:
        title: name of the model.
        size: bytes of its weights or its file.
        probabilities: float [N, num_classes].
        seconds: duration of all calls, one call per image.
    """

    title: str
    size: int
    probabilities: np.ndarray
    seconds: float

    @property
    def milliseconds_per_image(self) -> float:
        return 1000 * self.seconds / len(self.probabilities)

    def top_1(self, labels: np.ndarray) -> float:
        """Returns the share of images that are classified correctly."""
        return float(np.mean(self.probabilities.argmax(axis=1) == labels))

    def agreement(self, other: Measurement) -> float:
        """Returns the share of images to which both models give the same class."""
        mine, theirs = self.probabilities.argmax(axis=1), other.probabilities.argmax(axis=1)
        return float(np.mean(mine == theirs))

    def largest_difference(self, other: Measurement) -> float:
        """Returns the largest difference between two probabilities."""
        return float(np.abs(self.probabilities - other.probabilities).max())


def measure_original(export: Export, images: Sequence[np.ndarray]) -> Measurement:
    """Runs the trained model, as TensorFlow compiles it for one image at a time."""
    function = probabilities_function(export, batch_size=1)
    size = sum(int(np.prod(weight.shape)) * 4 for weight in export.model.weights)
    return _measure("original", size, lambda image: function(image)[PROBABILITIES].numpy(), images)


def measure_file(path: str, images: Sequence[np.ndarray]) -> Measurement:
    """Runs a converted file, one image at a time, on the CPU."""
    model = _MODELS[os.path.splitext(path)[1].lower()](path)
    return _measure(os.path.basename(path), os.path.getsize(path), model.probabilities, images)


def _measure(title: str, size: int, classify, images: Sequence[np.ndarray]) -> Measurement:
    classify(images[0][None])  # the first call compiles
    start = time.perf_counter()
    predictions = [classify(image[None]) for image in images]
    return Measurement(title, size, np.concatenate(predictions), time.perf_counter() - start)
