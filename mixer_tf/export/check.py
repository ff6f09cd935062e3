# SPDX-License-Identifier: Apache-2.0
"""Checks an exported model as a server would use it: loads it, and compares its answers.

Also a script (`python -I check.py MODEL_DIR`) that prints a report as one line of JSON. Therefore
it imports TensorFlow, numpy and the messages of TensorFlow Serving, and nothing of this project:
whatever the model needs must be in the model.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import tensorflow as tf

# The names of mixer_tf/serving/contract.py, which this script cannot import.
REQUESTS = "assets.extra/tf_serving_warmup_requests"
EXPECTED = "assets.extra/expected_outputs.json"
SERVING_SIGNATURE = "serving_default"
SIGNATURES = (SERVING_SIGNATURE, "pixels", "features", "examples")
IMAGE_BYTES, CLASS_NAMES, PROBABILITIES = "image_bytes", "class_names", "probabilities"

BATCH_SIZES = (1, 3, 8)

# Absolute and relative. On the device of the training, the answers agree to about 1e-6. On another
# kind of device (trained on a GPU or a TPU, checked on a CPU), they differ by up to this much; a
# model that computes something else differs by far more.
TOLERANCE = 1e-3


class FailedCheck(RuntimeError):
    """The model must not be served; the message is the reason."""


def check(model_dir: str) -> dict:
    """Checks the stored answers, batches of several sizes, and bytes that are not an image.

    Args:
        model_dir: path of the SavedModel; any file system that TensorFlow knows.

    Returns:
        A report: the number of requests, the largest difference between an answer and the stored
        one, the batch sizes, and the durations in seconds.

    Raises:
        FailedCheck: the model must not be served.
    """
    start = time.monotonic()
    signatures = load(model_dir)
    loaded = time.monotonic()
    requests = read_requests(model_dir)
    difference = compare_all(signatures, requests)
    for name, inputs, expected in requests:
        check_batches(signatures, name, inputs, expected)
    check_unreadable(signatures, next(i for _, i, _ in requests if IMAGE_BYTES in i))
    return {
        "requests": len(requests),
        "largest_difference": difference,
        "batch_sizes": BATCH_SIZES,
        "load_seconds": round(loaded - start, 2),
        "seconds": round(time.monotonic() - start, 2),
    }


def check_answers(model_dir: str) -> float:
    """Checks the stored answers only.

    Returns:
        The largest difference between an answer and the stored one.

    Raises:
        FailedCheck: the model does not answer as the trained one does.
    """
    return compare_all(load(model_dir), read_requests(model_dir))


def load(model_dir: str) -> dict:
    """Returns the signatures of a SavedModel by name."""
    try:
        model = tf.saved_model.load(model_dir)
    except Exception as error:  # TensorFlow raises many kinds for a corrupt model
        raise FailedCheck(f"the model does not load: {first_line(error)}") from error
    missing = [name for name in SIGNATURES if name not in model.signatures]
    if missing:
        raise FailedCheck(f"the model has no signature {', '.join(missing)}")
    return {**model.signatures, "": model}  # TensorFlow frees a model without references


def read_requests(model_dir: str) -> list[tuple[str, dict, dict]]:
    """Returns (signature, input name -> array, output name -> nested lists) per request."""
    from tensorflow_serving.apis import prediction_log_pb2

    requests_path, expected_path = (f"{model_dir}/{name}" for name in (REQUESTS, EXPECTED))
    for path in (requests_path, expected_path):
        if not tf.io.gfile.exists(path):
            raise FailedCheck(f"the model has no {path.removeprefix(model_dir + '/')}")
    records = tf.data.TFRecordDataset(requests_path).as_numpy_iterator()
    logs = [prediction_log_pb2.PredictionLog.FromString(record) for record in records]
    with tf.io.gfile.GFile(expected_path) as file:
        expected = json.load(file)
    if not logs or len(logs) != len(expected):
        raise FailedCheck(f"{len(logs)} warm-up requests, but {len(expected)} expected answers")
    requests = [log.predict_log.request for log in logs]
    return [
        (
            request.model_spec.signature_name or SERVING_SIGNATURE,
            {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()},
            answer["outputs"],
        )
        for request, answer in zip(requests, expected, strict=True)
    ]


def compare_all(signatures: dict, requests: list[tuple[str, dict, dict]]) -> float:
    """Sends all requests; returns the largest difference from the stored answers."""
    return max(
        compare(name, ask(signatures, name, inputs), expected)
        for name, inputs, expected in requests
    )


def ask(signatures: dict, name: str, inputs: dict) -> dict:
    """Calls a signature with arrays, and returns its outputs as arrays."""
    try:
        tensors = {key: tf.constant(value) for key, value in inputs.items()}
        return {key: value.numpy() for key, value in signatures[name](**tensors).items()}
    except Exception as error:  # a signature may raise anything for a wrong input
        raise FailedCheck(f"{name} does not answer: {first_line(error)}") from error


def compare(name: str, answer: dict, expected: dict) -> float:
    """Returns the largest difference between two answers of a signature, in any output.

    Raises:
        FailedCheck: the answers have other outputs or shapes, or differ by more than TOLERANCE.
    """
    if answer.keys() != expected.keys():
        raise FailedCheck(f"{name} answers {sorted(answer)}, expected {sorted(expected)}")
    difference = 0.0
    for key, value in answer.items():
        wanted = np.asarray(expected[key])
        if value.shape != wanted.shape:
            raise FailedCheck(f"{name}: {key} has the shape {value.shape}, expected {wanted.shape}")
        if value.dtype != object:
            difference = max(difference, compare_numbers(f"{name}: {key}", value, wanted))
    if CLASS_NAMES in answer:
        compare_names(name, answer[CLASS_NAMES], expected)
    return difference


def compare_numbers(where: str, value: np.ndarray, wanted: np.ndarray) -> float:
    difference = np.abs(value - wanted)
    if not np.all(difference <= TOLERANCE * (1 + np.abs(wanted))):  # False for nan as well
        raise FailedCheck(
            f"{where} differs from the trained model's by up to {np.max(difference):.2g}"
        )
    return float(np.max(difference, initial=0))


def compare_names(name: str, found: np.ndarray, expected: dict) -> None:
    """Checks the order of the classes; equally probable classes may be in any order.

    A class that the trained model does not list can only replace one that is as probable as the
    last in its list.

    Args:
        name: name of the signature.
        found: class names as bytes [N, k].
        expected: `class_names` and `probabilities`, nested lists [N, k].
    """
    rows = zip(found, expected[CLASS_NAMES], expected[PROBABILITIES], strict=True)
    for names, wanted, probabilities in rows:
        by_name = dict(zip(wanted, probabilities, strict=True))
        for rank, (class_name, probability) in enumerate(zip(names, probabilities, strict=True)):
            class_name = class_name.decode()
            if abs(by_name.get(class_name, probabilities[-1]) - probability) > TOLERANCE:
                raise FailedCheck(
                    f"{name}: class {rank + 1} is {class_name!r}, expected {wanted[rank]!r}"
                )


def check_batches(signatures: dict, name: str, inputs: dict, expected: dict) -> None:
    """Checks that each row of a batch gets the same answer at every batch size."""
    for size in BATCH_SIZES:
        answer = ask(signatures, name, repeat(inputs, size))
        compare(f"{name} in a batch of {size}", answer, repeat(expected, size))


def repeat(arrays: dict, size: int) -> dict:
    """Truncates or repeats the rows of each array to `size` rows."""
    return {
        name: np.take(array, np.arange(size) % len(array), axis=0) for name, array in arrays.items()
    }


def check_unreadable(signatures: dict, inputs: dict) -> None:
    """Checks that bytes which are not an image fail that request, and not the next one."""
    image = inputs[IMAGE_BYTES][0]
    cases = {
        "no bytes": b"",
        "text": b"this is not an image",
        "half an image": image[: len(image) // 2],
    }
    default = signatures[SERVING_SIGNATURE]
    for title, content in cases.items():
        try:
            default(**{IMAGE_BYTES: tf.constant([image, content])})
        except tf.errors.OpError:
            ask(signatures, SERVING_SIGNATURE, inputs)
            continue
        raise FailedCheck(f"{SERVING_SIGNATURE} accepts {title} as an image")


def first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def main() -> None:
    try:
        report = {"reason": "", **check(sys.argv[1])}
    except FailedCheck as failure:
        report = {"reason": str(failure)}
    print(f"\n{json.dumps(report, ensure_ascii=True)}")


if __name__ == "__main__":
    main()
