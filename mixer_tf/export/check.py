# SPDX-License-Identifier: Apache-2.0
"""Opens an exported model as a server does, asks it, and prints a report as one line of JSON.

Runs on its own (`python -I check.py MODEL_DIR`), and imports TensorFlow, the messages of
TensorFlow Serving and nothing of this project: whatever the model needs must be in the model.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import tensorflow as tf

REQUESTS = "assets.extra/tf_serving_warmup_requests"
EXPECTED = "assets.extra/expected_outputs.json"
SIGNATURES = ("serving_default", "pixels", "features", "examples")
IMAGES = "image_bytes"
BATCH_SIZES = (1, 3, 8)

# On one machine the answers are equal to the last few bits. A model that was trained on another
# kind of device differs by up to this much; one that computes something else, by far more.
TOLERANCE = 1e-3


class FailedCheck(Exception):
    """The model is not fit to be served; the message says why."""


def check(model_dir: str) -> dict:
    """Returns what was asked and how far the answers were from those stored at export.

    Raises:
        FailedCheck: the model is not fit to be served.
    """
    start = time.monotonic()
    signatures = load(model_dir)
    loaded = time.monotonic()
    requests = read_requests(model_dir)
    difference = 0.0
    for name, inputs, expected in requests:
        difference = max(difference, compare(name, ask(signatures, name, inputs), expected))
    for name, inputs, expected in requests:
        check_batches(signatures, name, inputs, expected)
    check_unreadable(signatures, next(inputs for _, inputs, _ in requests if IMAGES in inputs))
    return {
        "requests": len(requests),
        "largest_difference": difference,
        "batch_sizes": BATCH_SIZES,
        "load_seconds": round(loaded - start, 2),
        "seconds": round(time.monotonic() - start, 2),
    }


def load(model_dir: str) -> dict:
    """Returns the signatures of a SavedModel by name."""
    try:
        model = tf.saved_model.load(model_dir)
    except Exception as error:  # whatever damaged files make TensorFlow raise
        raise FailedCheck(f"the model does not load: {first_line(error)}") from error
    missing = [name for name in SIGNATURES if name not in model.signatures]
    if missing:
        raise FailedCheck(f"the model has no signature {', '.join(missing)}")
    return {**model.signatures, "": model}  # TensorFlow frees a model that nothing refers to


def read_requests(model_dir: str) -> list[tuple[str, dict, dict]]:
    """Returns (signature, input name → array, output name → nested lists) for each request."""
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
            request.model_spec.signature_name or "serving_default",
            {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()},
            answer["outputs"],
        )
        for request, answer in zip(requests, expected, strict=True)
    ]


def ask(signatures: dict, name: str, inputs: dict) -> dict:
    """Calls a signature with arrays, and returns its outputs as arrays."""
    try:
        tensors = {key: tf.constant(value) for key, value in inputs.items()}
        return {key: value.numpy() for key, value in signatures[name](**tensors).items()}
    except Exception as error:  # whatever a signature makes of an input
        raise FailedCheck(f"{name} does not answer: {first_line(error)}") from error


def compare(name: str, answer: dict, expected: dict) -> float:
    """Returns the largest difference of two answers of a signature, in any output.

    Raises:
        FailedCheck: they are not the same answer.
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
    if "class_names" in answer:
        compare_names(name, answer["class_names"], expected)
    return difference


def compare_numbers(where: str, value: np.ndarray, wanted: np.ndarray) -> float:
    difference = np.abs(value - wanted)
    if not np.all(difference <= TOLERANCE * (1 + np.abs(wanted))):  # also where it is not a number
        raise FailedCheck(
            f"{where} differs from the trained model's by up to {np.max(difference):.2g}"
        )
    return float(np.max(difference, initial=0))


def compare_names(name: str, found: np.ndarray, expected: dict) -> None:
    """Names may change places only where the trained model was undecided between them.

    Args:
        name: of the signature.
        found: class names as bytes [N, k].
        expected: `class_names` and `probabilities`, nested lists [N, k].
    """
    rows = zip(found, expected["class_names"], expected["probabilities"], strict=True)
    for names, wanted, probabilities in rows:
        by_name = dict(zip(wanted, probabilities, strict=True))
        for place, (class_name, probability) in enumerate(zip(names, probabilities, strict=True)):
            class_name = class_name.decode()
            if abs(by_name.get(class_name, probabilities[-1]) - probability) > TOLERANCE:
                raise FailedCheck(
                    f"{name}: place {place + 1} is {class_name!r}, expected {wanted[place]!r}"
                )


def check_batches(signatures: dict, name: str, inputs: dict, expected: dict) -> None:
    """Each row of a batch must get the answer that it gets alone, whatever the batch's size."""
    for size in BATCH_SIZES:
        answer = ask(signatures, name, repeat(inputs, size))
        compare(f"{name} in a batch of {size}", answer, repeat(expected, size))


def repeat(arrays: dict, size: int) -> dict:
    """Cuts or repeats the rows of every array, so that there are `size` of them."""
    return {
        name: np.take(array, np.arange(size) % len(array), axis=0) for name, array in arrays.items()
    }


def check_unreadable(signatures: dict, inputs: dict) -> None:
    """What is no image must fail that request, with an error, and no other."""
    image = inputs[IMAGES][0]
    cases = {
        "no bytes": b"",
        "a text": b"this is not an image",
        "half an image": image[: len(image) // 2],
    }
    default = signatures["serving_default"]
    for title, content in cases.items():
        try:
            default(**{IMAGES: tf.constant([image, content])})
        except tf.errors.OpError:
            ask(signatures, "serving_default", inputs)
            continue
        raise FailedCheck(f"serving_default takes {title} for an image")


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
