# SPDX-License-Identifier: Apache-2.0
"""ONNX files, written with tf2onnx and run with ONNX Runtime; both are in the extra "onnx".

The metadata of the file hold `class_names`, a JSON list in label order.
"""

from __future__ import annotations

import contextlib
import io
import json

import numpy as np

from mixer_tf.export.formats.network import pixels_spec, probabilities_function
from mixer_tf.export.loading import Export
from mixer_tf.serving.contract import CLASS_NAMES, PIXELS, PROBABILITIES

_OPSET = 17  # the first with LayerNormalization; ONNX Runtime has it since 1.12
_MAX_BYTES = 2**31 - 1  # of a protocol buffer


def require_packages() -> None:
    """Raises ImportError where the extra "onnx" is not installed."""
    try:
        import onnxruntime  # noqa: F401
        import tf2onnx  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"an ONNX file needs the package {error.name}: pip install onnx onnxruntime tf2onnx"
        ) from error


def convert(export: Export) -> bytes:
    """Returns the content of a file that accepts any batch size.

    Raises:
        ImportError: the extra "onnx" is not installed.
        ValueError: the weights are too large for one file.
    """
    require_packages()
    import tf2onnx

    size = sum(np.prod(weight.shape) * 4 for weight in export.model.weights)
    if size > _MAX_BYTES:
        raise ValueError(
            f"the weights of an ONNX file must have less than 2 GiB; this model has "
            f"{size / 2**30:.1f} GiB. Use a smaller model, or .tflite with --precision=float16."
        )
    with contextlib.redirect_stderr(io.StringIO()):  # a note on every constant that it folds
        model, _ = tf2onnx.convert.from_function(
            probabilities_function(export, batch_size=None),
            input_signature=[pixels_spec(export, None)],
            opset=_OPSET,
        )
    entry = model.metadata_props.add()
    entry.key, entry.value = CLASS_NAMES, json.dumps(list(export.class_names), ensure_ascii=False)
    return model.SerializeToString(deterministic=True)


class OnnxModel:
    """A file of `convert`, ready to classify.

    Args:
        path: path of the file.
    """

    def __init__(self, path: str):
        import onnxruntime

        self._session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """uint8 [N, H, W, 3] -> float32 [N, num_classes]."""
        return self._session.run([PROBABILITIES], {PIXELS: pixels})[0]
