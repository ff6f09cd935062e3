# SPDX-License-Identifier: Apache-2.0
"""TensorFlow Serving's JSON, against the examples of its documentation and its rules."""

import base64
import json

import numpy as np
import pytest

from mixer_tf.serving import tensor_json
from mixer_tf.serving.statuses import ServingError
from mixer_tf.serving.tensor_json import TensorSpec

# The example of tensorflow_serving/g3doc/api_rest.md.
SPECS = {
    "tag": TensorSpec("string", (None,)),
    "signal": TensorSpec("int32", (None, 5)),
    "sensor": TensorSpec("float32", (None, 2, 2)),
}
ROWS = {
    "instances": [
        {"tag": "foo", "signal": [1, 2, 3, 4, 5], "sensor": [[1, 2], [3, 4]]},
        {"tag": "bar", "signal": [3, 4, 1, 2, 5], "sensor": [[4, 5], [6, 8]]},
    ]
}
COLUMNS = {
    "inputs": {
        "tag": ["foo", "bar"],
        "signal": [[1, 2, 3, 4, 5], [3, 4, 1, 2, 5]],
        "sensor": [[[1, 2], [3, 4]], [[4, 5], [6, 8]]],
    }
}
IMAGES = {"image_bytes": TensorSpec("string", (None,))}
PIXELS = {"pixels": TensorSpec("uint8", (None, 2))}


def nested(value, depth: int):
    return nested([value], depth - 1) if depth else value


def read(request, specs):
    body = request if isinstance(request, bytes) else json.dumps(request).encode()
    return tensor_json.read_request(body, lambda name: specs)


@pytest.mark.parametrize("request_", [ROWS, COLUMNS], ids=["row", "columnar"])
def test_both_formats_of_the_documentation_give_the_same_arrays(request_):
    call = read(request_, SPECS)
    assert call.is_row == (request_ is ROWS) and call.signature == ""
    np.testing.assert_array_equal(call.inputs["tag"], [b"foo", b"bar"])
    np.testing.assert_array_equal(call.inputs["signal"], [[1, 2, 3, 4, 5], [3, 4, 1, 2, 5]])
    np.testing.assert_array_equal(call.inputs["sensor"], [[[1, 2], [3, 4]], [[4, 5], [6, 8]]])
    for name, array in call.inputs.items():
        assert SPECS[name].matches(array)


@pytest.mark.parametrize(
    "request_",
    [
        {"instances": [{"b64": "AP8="}]},
        {"instances": [{"image_bytes": {"b64": "AP8="}}]},
        {"inputs": [{"b64": "AP8="}]},
        {"inputs": {"image_bytes": [{"b64": "AP8="}]}},
        {"inputs": {"image_bytes": [{"b64": "AP8"}]}},  # absl's decoder needs no padding
        {"inputs": {"image_bytes": [{"b64": "A\nP8="}]}},
    ],
)
def test_bytes_are_base64_in_every_form(request_):
    np.testing.assert_array_equal(read(request_, IMAGES).inputs["image_bytes"], [b"\x00\xff"])


@pytest.mark.parametrize(
    ("request_", "specs", "text"),
    [
        (b"", IMAGES, "must be JSON"),
        (b"\xff\xfe", IMAGES, "must be JSON"),
        (b"[" * 100_000, IMAGES, "must be JSON"),
        ([1], IMAGES, "must be a JSON object; got a list"),
        ({}, IMAGES, "either 'instances' or 'inputs'; got neither"),
        ({"instances": [], "inputs": []}, IMAGES, "got both"),
        ({"instances": []}, IMAGES, "at least one example"),
        ({"instances": {"b64": ""}}, IMAGES, "must be a list"),
        ({"instances": ["x"], "signature_name": 1}, IMAGES, "'signature_name' must be a string"),
        ({"instances": [{"image": "x"}]}, IMAGES, "exactly the inputs image_bytes; got image"),
        ({"instances": ["x"]}, SPECS, "must be an object with the inputs sensor, signal, tag"),
        ({"instances": [{"b64": "A!"}]}, IMAGES, "valid base64"),
        ({"instances": [{"b64": 1}]}, IMAGES, 'bytes as {"b64": "…"}; got an object'),
        ({"instances": [1]}, IMAGES, "must be strings.*got a number"),
        ({"instances": [None]}, IMAGES, "got null"),
        ({"inputs": [["a"], ["b", "c"]]}, IMAGES, "rectangular"),
        ({"inputs": [[1], [2, 3]]}, PIXELS, "rectangular"),
        ({"inputs": nested("x", 33)}, IMAGES, "at most 32 dimensions; got 33"),
        ({"inputs": nested("x", 500)}, IMAGES, "at most 32 dimensions; got 500"),
        ({"inputs": nested(1, 33)}, PIXELS, "rectangular"),
        ({"inputs": [[1, 256]]}, PIXELS, "from 0 to 255"),
        ({"inputs": [[1, -1]]}, PIXELS, "from 0 to 255"),
        ({"inputs": [[1, 0.5]]}, PIXELS, "not uint8"),
        ({"inputs": [[True, False]]}, PIXELS, "not uint8"),
        ({"inputs": [["1", "2"]]}, PIXELS, "not uint8"),
        ({"inputs": [[1, 10**30]]}, PIXELS, "not uint8"),
        ({"inputs": [1.0, -1e39]}, {"x": TensorSpec("float32", (None,))}, "up to ±3.4e"),
    ],
)
def test_a_wrong_request_is_one_clear_error(request_, specs, text):
    with pytest.raises(ServingError, match=text) as caught:
        read(request_, specs)
    assert caught.value.code == "INVALID_ARGUMENT" and "\n" not in str(caught.value)


def test_responses_are_those_of_the_documentation():
    outputs = {"a_bytes": np.array([b"\xff"], object), "b": np.array([0.2], np.float32)}
    row = json.loads(tensor_json.write_response(outputs, is_row=True))
    assert row == {"predictions": [{"a_bytes": {"b64": "/w=="}, "b": 0.2}]}
    columns = json.loads(tensor_json.write_response(outputs, is_row=False))
    assert columns == {"outputs": {"a_bytes": [{"b64": "/w=="}], "b": [0.2]}}
    alone = {"b": np.array([[1, 2]])}
    assert json.loads(tensor_json.write_response(alone, True)) == {"predictions": [[1, 2]]}
    assert json.loads(tensor_json.write_response(alone, False)) == {"outputs": [[1, 2]]}


def test_text_is_not_base64_where_the_name_does_not_end_in_bytes():
    outputs = {"class_names": np.array([["猫".encode()]], object)}
    assert json.loads(tensor_json.write_response(outputs, True)) == {"predictions": [["猫"]]}


def test_rows_need_one_row_per_example():
    scalar = np.float32(1)
    for outputs in (
        {"a": np.zeros(2), "b": np.zeros(3)},
        {"a": scalar},
        {"a": np.zeros(2), "b": scalar},
    ):
        with pytest.raises(ServingError, match="one row per example"):
            tensor_json.write_response(outputs, is_row=True)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_are_exact_after_a_round_trip(dtype):
    values = np.random.default_rng(0).normal(size=(50, 7)).astype(dtype)
    values[0, :3] = [np.nan, np.inf, 1e-30]
    body = json.loads(tensor_json.write_response({"x": values}, is_row=False))
    found = tensor_json.read_response(body, {"x": TensorSpec(np.dtype(dtype).name, (None, 7))})
    np.testing.assert_array_equal(found["x"], values)


def test_a_request_is_read_as_it_was_written():
    images = np.array([b"", b"\x00\xff" * 50, "ä".encode(), None], object)[:-1]
    call = read(tensor_json.write_request({"image_bytes": images}, "features"), IMAGES)
    np.testing.assert_array_equal(call.inputs["image_bytes"], images)
    assert call.signature == "features"
    body = json.loads(tensor_json.write_request({"image_bytes": images}, ""))
    assert body["inputs"]["image_bytes"][1] == {"b64": base64.b64encode(images[1]).decode()}
    empty = read(tensor_json.write_request({"image_bytes": images[:0]}, ""), IMAGES)
    assert empty.inputs["image_bytes"].shape == (0,)


def test_a_response_without_the_outputs_is_refused():
    for body in ({"outputs": {"a": [1]}}, {"predictions": []}, []):
        with pytest.raises(ValueError, match="must have the outputs a, b"):
            tensor_json.read_response(body, dict.fromkeys("ab", TensorSpec("int64", None)))
