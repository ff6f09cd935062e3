# SPDX-License-Identifier: Apache-2.0
"""Makes the golden request and response of each signature: JSON for REST, text protos for gRPC.

    python tests/golden/serving/make_serving_files.py

The responses are computed by Keras and numpy, not by an exported graph or a server. The model has
random weights from a fixed seed; the images are made by PIL.
"""

import base64
import io
import json
import pathlib
import sys

import numpy as np
import tensorflow as tf
from google.protobuf import text_format
from PIL import Image
from tensorflow_serving.apis import predict_pb2

FOLDER = pathlib.Path(__file__).parent
sys.path[:0] = [str(FOLDER.parents[2]), str(FOLDER.parents[1])]

import harness  # noqa: E402

from mixer_tf import factory  # noqa: E402
from mixer_tf.export import saved_model  # noqa: E402
from mixer_tf.features import ImageRecord  # noqa: E402
from mixer_tf.images.preprocessing import decode_and_crop  # noqa: E402

CLASS_NAMES = ("red", "green", "bläulich 青")


def make_model():
    """Returns the model and its recipe."""
    recipe = harness.tiny_recipe().override(["data.crop=resmall_crop"])
    return harness.randomize(factory.from_recipe(recipe, len(CLASS_NAMES)), 0.5, seed=9), recipe


def make_images() -> list[bytes]:
    """Returns a PNG and a JPEG."""
    small = np.random.default_rng(9).integers(0, 256, (2, 3, 4, 3), dtype=np.uint8)
    files = []
    for pixels, image_format in zip(small, ("PNG", "JPEG"), strict=True):
        file = io.BytesIO()
        Image.fromarray(pixels).resize((24, 20)).save(file, image_format)
        files.append(file.getvalue())
    return files


def make_inputs(recipe) -> dict[str, dict[str, np.ndarray]]:
    """Returns signature -> input -> array."""
    images = make_images()
    encoded = np.array(images, object)
    examples = [ImageRecord(i, "", None, "", "", 0, 0).to_example() for i in images]
    side = recipe.model.image_size
    pixels = [decode_and_crop(tf.constant(i), recipe.data.crop, side).numpy() for i in images]
    return {
        "serving_default": {"image_bytes": encoded},
        "features": {"image_bytes": encoded},
        "examples": {"examples": np.array(examples, object)},
        "pixels": {"pixels": np.stack(pixels)},
    }


def to_json(value):
    """Returns bytes as TensorFlow Serving's base64 object, and text as text."""
    if isinstance(value, list):
        return [to_json(each) for each in value]
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()}
    return value


def rest_request(signature: str, inputs: dict) -> dict:
    rows = [to_json(row) for row in next(iter(inputs.values())).tolist()]
    return {"signature_name": signature, "instances": [{next(iter(inputs)): row} for row in rows]}


def rest_response(outputs: dict) -> dict:
    columns = {name: np.asarray(value).tolist() for name, value in sorted(outputs.items())}
    rows = zip(*columns.values(), strict=True)
    named = [dict(zip(columns, row, strict=True)) for row in rows]
    return {"predictions": named if len(columns) > 1 else next(iter(columns.values()))}


def grpc_request(signature: str, inputs: dict) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "golden", signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request


def grpc_response(signature: str, outputs: dict) -> predict_pb2.PredictResponse:
    response = predict_pb2.PredictResponse()
    response.model_spec.name, response.model_spec.signature_name = "golden", signature
    response.model_spec.version.value = 1
    for name, value in outputs.items():
        response.outputs[name].CopyFrom(tf.make_tensor_proto(np.asarray(value).tolist()))
    return response


def main() -> None:
    model, recipe = make_model()
    inputs = make_inputs(recipe)
    pixels = inputs["pixels"]["pixels"]
    answers = saved_model.trained_answers(model, recipe, CLASS_NAMES, pixels)
    for signature, given in inputs.items():
        texts = {
            "request.json": json.dumps(rest_request(signature, given)),
            "response.json": json.dumps(rest_response(answers[signature]), ensure_ascii=False),
            "request.pbtxt": text_format.MessageToString(grpc_request(signature, given)),
            "response.pbtxt": text_format.MessageToString(
                grpc_response(signature, answers[signature]), as_utf8=True
            ),
        }
        for name, text in texts.items():
            (FOLDER / f"{signature}_{name}").write_text(text.rstrip() + "\n", "utf-8")


if __name__ == "__main__":
    main()
