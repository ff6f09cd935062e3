# SPDX-License-Identifier: Apache-2.0
"""Warm-up requests of an exported model, and the answers that the trained model gives to them.

TensorFlow Serving sends the requests to a model before it serves it. Here they also show whether
an export computes what was trained: `replay` sends them and compares.
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

from mixer_tf.features import ImageRecord
from mixer_tf.serving import contract
from mixer_tf.serving.contract import CLASS_NAMES, PROBABILITIES

TOLERANCE = 1e-4  # absolute and relative; on one device, the answers agree to 1e-6


class WarmupError(RuntimeError):
    """An exported model does not answer as the trained one."""


@dataclasses.dataclass(frozen=True)
class Request:
    """One call of a signature.

    Attributes:
        signature: its name.
        inputs: input name → array; the first axis is the batch.
    """

    signature: str
    inputs: Mapping[str, np.ndarray]


def sample_images(image_size: int) -> list[bytes]:
    """Returns a JPEG larger than the model's input and a grey PNG of odd sides, always the same."""
    rows, columns = np.mgrid[0 : 2 * image_size, 0 : 3 * image_size] / image_size
    waves = [np.sin(5 * rows + 3 * columns * k) * 127 + 128 for k in range(3)]
    photo = np.stack(waves, axis=-1).astype(np.uint8)
    return [_encode(photo, "JPEG"), _encode(photo[1::2, ::3, 0], "PNG")]


def make_requests(image_size: int) -> list[Request]:
    """Returns requests for each of the four signatures of the contract."""
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
        model_dir: of the SavedModel.
        requests: see `make_requests`.
        expected: for each request output name → array, from the trained model.
    """
    folder = os.path.join(model_dir, contract.EXTRA_ASSETS)
    tf.io.gfile.makedirs(folder)
    with tf.io.TFRecordWriter(os.path.join(folder, contract.WARMUP_FILE)) as writer:
        for request in requests:
            writer.write(_to_log(request).SerializeToString(deterministic=True))
    answers = [
        {"signature": request.signature, "outputs": _to_lists(outputs)}
        for request, outputs in zip(requests, expected, strict=True)
    ]
    with tf.io.gfile.GFile(os.path.join(folder, contract.EXPECTED_FILE), "w") as file:
        file.write(json.dumps(answers, ensure_ascii=False))


def read(model_dir: str) -> tuple[list[Request], list[dict]]:
    """Reads what `write` wrote.

    Raises:
        WarmupError: the SavedModel holds none.
    """
    folder = os.path.join(model_dir, contract.EXTRA_ASSETS)
    paths = [os.path.join(folder, name) for name in (contract.WARMUP_FILE, contract.EXPECTED_FILE)]
    for path in paths:
        if not tf.io.gfile.exists(path):
            raise WarmupError(f"an exported model must hold {path}. Export it with mixer_tf.")
    logs = [
        prediction_log_pb2.PredictionLog.FromString(record.numpy())
        for record in tf.data.TFRecordDataset(paths[0])
    ]
    with tf.io.gfile.GFile(paths[1]) as file:
        answers = json.load(file)
    return [_from_log(log) for log in logs], [answer["outputs"] for answer in answers]


def replay(model_dir: str, tolerance: float = TOLERANCE) -> float:
    """Loads a SavedModel, sends it its warm-up requests, and compares the answers.

    Args:
        model_dir: of the SavedModel.
        tolerance: how far two numbers may differ, in absolute and relative terms.

    Returns:
        The largest difference.

    Raises:
        WarmupError: it cannot be loaded, fails, or answers otherwise.
    """
    requests, expected = read(model_dir)
    try:
        model = tf.saved_model.load(model_dir)
    except Exception as error:  # whatever a damaged file makes TensorFlow raise
        raise WarmupError(f"{model_dir} must load as a SavedModel; {error}") from error
    differences = [0.0]
    for number, (request, outputs) in enumerate(zip(requests, expected, strict=True)):
        where = f"request {number} ({request.signature})"
        answer = _ask(model, request, where)
        differences.append(_compare(answer, outputs, tolerance, where))
    return max(differences)


def _ask(model, request: Request, where: str) -> dict[str, np.ndarray]:
    inputs = {name: tf.constant(value) for name, value in request.inputs.items()}
    try:
        outputs = model.signatures[request.signature](**inputs)
    except Exception as error:  # a missing signature, wrong inputs, or a failing graph
        raise WarmupError(f"{where} must be answered; {error}") from error
    return {name: value.numpy() for name, value in outputs.items()}


def _compare(answer: Mapping, expected: Mapping, tolerance: float, where: str) -> float:
    """Returns the largest difference of an answer; raises WarmupError where it is too large."""
    if set(answer) != set(expected):
        raise WarmupError(f"{where} must return {sorted(expected)}; got {sorted(answer)}.")
    largest = 0.0
    for name in sorted(set(expected) - {CLASS_NAMES}):
        value, wanted = answer[name], np.array(expected[name])
        if value.shape != wanted.shape:
            raise WarmupError(
                f"{where}: {name} must have the shape {wanted.shape}; got {value.shape}."
            )
        difference = np.abs(value - wanted)
        if not np.all(difference <= tolerance * (1 + np.abs(wanted))):  # also where it is nan
            raise WarmupError(
                f"{where}: {name} must equal that of the trained model; they differ by "
                f"{np.max(difference):.2g}."
            )
        largest = max(largest, float(np.max(difference, initial=0)))
    if CLASS_NAMES in expected:
        _compare_names(answer, expected, tolerance, where)
    return largest


def _compare_names(answer: Mapping, expected: Mapping, tolerance: float, where: str) -> None:
    """Names may change places only where their probabilities are equal."""
    rows = zip(answer[CLASS_NAMES], expected[CLASS_NAMES], expected[PROBABILITIES], strict=True)
    for names, wanted, probabilities in rows:
        by_name = dict(zip(wanted, probabilities, strict=True))
        for name, wanted_name, probability in zip(names, wanted, probabilities, strict=True):
            if abs(by_name.get(name.decode(), probabilities[-1]) - probability) > tolerance:
                raise WarmupError(f"{where} must name {wanted_name!r}; got {name.decode()!r}.")


def _to_log(request: Request) -> prediction_log_pb2.PredictionLog:
    call = predict_pb2.PredictRequest(
        model_spec=model_pb2.ModelSpec(name="mixer", signature_name=request.signature)
    )
    for name, value in request.inputs.items():
        call.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=call))


def _from_log(log: prediction_log_pb2.PredictionLog) -> Request:
    call = log.predict_log.request
    inputs = {name: tf.make_ndarray(value) for name, value in call.inputs.items()}
    return Request(call.model_spec.signature_name, inputs)


def _to_lists(outputs: Mapping[str, np.ndarray]) -> dict[str, list]:
    return {name: np.asarray(value).tolist() for name, value in outputs.items()}


def _encode(pixels: np.ndarray, image_format: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, image_format)
    return file.getvalue()
