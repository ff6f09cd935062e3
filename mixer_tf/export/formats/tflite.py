# SPDX-License-Identifier: Apache-2.0
"""TensorFlow Lite files: one image per call, weights in float32, float16 or int8.

The names of the classes are in the file too, as TensorFlow Lite's metadata has it: a ZIP archive
behind the model, with one name per line in `labels.txt`.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Sequence

import numpy as np
import tensorflow as tf

from mixer_tf import library_messages, workers
from mixer_tf.export.formats import FLOAT16, FLOAT32, INT8
from mixer_tf.export.formats.network import probabilities_function
from mixer_tf.export.loading import Export
from mixer_tf.serving.contract import PIXELS, PROBABILITIES

LABELS_FILE = "labels.txt"


def convert(export: Export, precision: str, images: Iterable[np.ndarray] = ()) -> bytes:
    """Returns the content of a file whose shapes are all static, as fast kernels require.

    Args:
        export: the trained model.
        precision: one of `formats.PRECISIONS`. "float16" halves the file; "int8" quarters it, and
            also computes in int8 where TensorFlow Lite can.
        images: for "int8", typical images, each uint8 [H, W, 3]: they set the ranges of the
            activations.
    """
    function = probabilities_function(export, batch_size=1).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], export.model)
    if precision != FLOAT32:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == FLOAT16:
        converter.target_spec.supported_types = [tf.float16]
    if precision == INT8:
        examples = list(images)
        converter.representative_dataset = lambda: ([image[None]] for image in examples)
        converter.target_spec.supported_ops = [
            tf.lite.OpsSet.TFLITE_BUILTINS_INT8,
            tf.lite.OpsSet.TFLITE_BUILTINS,
        ]
    with library_messages.capture():  # the converter writes what it has counted
        model = converter.convert()
    return _with_labels(model, export.class_names)


def _with_labels(model: bytes, class_names: Sequence[str]) -> bytes:
    file = io.BytesIO(model)
    with zipfile.ZipFile(file, "a") as archive:
        date = (1980, 1, 1, 0, 0, 0)  # equal models are equal files
        lines = "\n".join(" ".join(name.splitlines()) for name in class_names)
        archive.writestr(zipfile.ZipInfo(LABELS_FILE, date), lines)
    return file.getvalue()


class TfliteModel:
    """A file of `convert`, ready to classify.

    Args:
        path: path of the file.
    """

    def __init__(self, path: str):
        threads = workers.count_processors()
        interpreter = tf.lite.Interpreter(model_path=path, num_threads=threads)
        self._classify = interpreter.get_signature_runner()

    def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """uint8 [N, H, W, 3] -> float32 [N, num_classes]; one call for each image."""
        answers = [self._classify(**{PIXELS: image[None]})[PROBABILITIES] for image in pixels]
        return np.concatenate(answers)
