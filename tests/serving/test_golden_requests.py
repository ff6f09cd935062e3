# SPDX-License-Identifier: Apache-2.0
"""The golden requests of tests/golden/serving get the golden responses, by REST and by gRPC."""

import http.client
import importlib.util
import json
import pathlib

import grpc
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

FOLDER = pathlib.Path(__file__).parents[1] / "golden" / "serving"
SIGNATURES = ("serving_default", "features", "examples", "pixels")


@pytest.fixture(scope="module")
def golden_server(tmp_path_factory):
    from mixer_tf.export import saved_model
    from mixer_tf.serving.server.model_server import ModelServer

    spec = importlib.util.spec_from_file_location("golden", FOLDER / "make_serving_files.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    path = str(tmp_path_factory.mktemp("golden") / "golden" / "1")
    saved_model.export_saved_model(*script.make_model(), script.CLASS_NAMES, path)
    with ModelServer(path, rest_port=0, grpc_port=0) as server:
        yield server


def assert_close(found, expected) -> None:
    """Equal text and structure; numbers within 1e-5, as processors differ."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for name in expected:
            assert_close(found[name], expected[name])
    elif isinstance(expected, list) and expected and not isinstance(expected[0], float):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_close(one, other)
    elif isinstance(expected, list):
        np.testing.assert_allclose(found, expected, atol=1e-5, rtol=1e-5)
    else:
        assert found == expected


@pytest.mark.parametrize("signature", SIGNATURES)
def test_rest(golden_server, signature):
    body = (FOLDER / f"{signature}_request.json").read_bytes()
    connection = http.client.HTTPConnection("localhost", golden_server.rest_port, timeout=60)
    connection.request("POST", "/v1/models/golden:predict", body)
    response = connection.getresponse()
    assert response.status == 200
    assert_close(json.loads(response.read()), _json(f"{signature}_response.json"))


@pytest.mark.parametrize("signature", SIGNATURES)
def test_grpc(golden_server, signature):
    request, expected = predict_pb2.PredictRequest(), predict_pb2.PredictResponse()
    text_format.Parse((FOLDER / f"{signature}_request.pbtxt").read_text("utf-8"), request)
    text_format.Parse((FOLDER / f"{signature}_response.pbtxt").read_text("utf-8"), expected)
    with grpc.insecure_channel(f"localhost:{golden_server.grpc_port}") as channel:
        found = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request)
    assert found.model_spec == expected.model_spec
    assert found.outputs.keys() == expected.outputs.keys()
    for name, tensor in expected.outputs.items():
        assert found.outputs[name].dtype == tensor.dtype
        one, other = tf.make_ndarray(found.outputs[name]), tf.make_ndarray(tensor)
        if one.dtype == object:
            np.testing.assert_array_equal(one, other)
        else:
            np.testing.assert_allclose(one, other, atol=1e-5, rtol=1e-5)


def _json(name: str):
    return json.loads((FOLDER / name).read_text("utf-8"))
