# SPDX-License-Identifier: Apache-2.0
"""Warm-up requests of an exported model, and the answers that the trained model gives to them.

TensorFlow Serving sends the requests to a model before it serves it. Here they also show whether
an export computes what was trained: `check.py` sends them and compares the answers.
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf
from PIL import Image
from tensorflow_serving.apis import model_pb2, predict_pb2, prediction_log_pb2

from mixer_tf import storage
from mixer_tf.features import ImageRecord
from mixer_tf.serving import contract


@dataclasses.dataclass(frozen=True)
class Request:
    """One call of a signature.

    Attributes:
        signature: name of the signature.
        inputs: input name -> array; the first axis is the batch.
    """

    signature: str
    inputs: Mapping[str, np.ndarray]


def sample_images(image_size: int) -> list[bytes]:
    """Returns the same two images at every call: a large JPEG and a gray PNG with odd sides."""
    rows, columns = np.mgrid[0 : 2 * image_size, 0 : 3 * image_size] / image_size
    waves = [np.sin(5 * rows + 3 * columns * k) * 127 + 128 for k in range(3)]
    photo = np.stack(waves, axis=-1).astype(np.uint8)
    return [_encode(photo, "JPEG"), _encode(photo[1::2, ::3, 0], "PNG")]


def make_requests(image_size: int) -> list[Request]:
    """Returns requests for each signature of the contract."""
    encoded = sample_images(image_size)
    strings = np.array(encoded, object)
    pixels = np.arange(image_size * image_size * 3).reshape(1, image_size, image_size, 3) % 256
    examples = [ImageRecord(image, "", None, "", "", 0, 0).to_example() for image in encoded]
    return [
        Request(contract.SERVING_SIGNATURE, {contract.IMAGE_BYTES: strings[:1]}),
        Request(contract.SERVING_SIGNATURE, {contract.IMAGE_BYTES: strings}),
        Request(contract.FEATURES_SIGNATURE, {contract.IMAGE_BYTES: strings}),
        Request(contract.EXAMPLES_SIGNATURE, {contract.EXAMPLES: np.array(examples, object)}),
        Request(contract.PIXELS_SIGNATURE, {contract.PIXELS: pixels.astype(np.uint8)}),
    ]


def write(model_dir: str, requests: Sequence[Request], expected: Sequence[Mapping]) -> None:
    """Writes requests and the answers to them into `assets.extra` of a SavedModel.

    Args:
        model_dir: path of the SavedModel.
        requests: see `make_requests`.
        expected: for each request, output name -> array, from the trained model.
    """
    folder = os.path.join(model_dir, contract.EXTRA_ASSETS)
    storage.make_folder(folder)
    with tf.io.TFRecordWriter(os.path.join(folder, contract.WARMUP_FILE)) as writer:
        for request in requests:
            writer.write(_to_log(request).SerializeToString(deterministic=True))
    answers = [
        {"signature": request.signature, "outputs": _to_lists(outputs)}
        for request, outputs in zip(requests, expected, strict=True)
    ]
    path = os.path.join(folder, contract.EXPECTED_FILE)
    storage.write_text(path, json.dumps(answers, ensure_ascii=False))


def _to_log(request: Request) -> prediction_log_pb2.PredictionLog:
    call = predict_pb2.PredictRequest(
        model_spec=model_pb2.ModelSpec(name="mixer", signature_name=request.signature)
    )
    for name, value in request.inputs.items():
        call.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=call))


def _to_lists(outputs: Mapping[str, np.ndarray]) -> dict[str, list]:
    return {name: np.asarray(value).tolist() for name, value in outputs.items()}


def _encode(pixels: np.ndarray, image_format: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, image_format)
    return file.getvalue()
