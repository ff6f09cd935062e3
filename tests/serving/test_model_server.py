# SPDX-License-Identifier: Apache-2.0
"""The development server, with TensorFlow Serving's own stubs and with raw HTTP as in its docs."""

import base64
import gzip
import http.client
import json
import os
import pathlib
import re
import shutil
import socket
import threading
import time
import urllib.request
from concurrent import futures

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from mixer_tf.export import generated_images
from mixer_tf.serving import tensor_json
from mixer_tf.serving.batching_parameters import BatchingParameters
from mixer_tf.serving.client import Client
from mixer_tf.serving.server import models
from mixer_tf.serving.server.model_server import ModelServer


def b64(content: bytes) -> dict:
    return {"b64": base64.b64encode(content).decode()}


@pytest.fixture
def ask(model_server):
    """Sends a raw HTTP request; returns the status and the JSON."""

    def send(method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("localhost", model_server.rest_port, timeout=60)
        content = json.dumps(body) if isinstance(body, dict) else body
        headers = headers or {}
        is_chunked = "Transfer-Encoding" in headers
        connection.request(method, path, content, headers, encode_chunked=is_chunked)
        response = connection.getresponse()
        assert response.headers["Content-Type"] == "application/json"
        return response.status, json.loads(response.read())

    return send


@pytest.fixture(scope="module")
def channel(model_server):
    with grpc.insecure_channel(f"localhost:{model_server.grpc_port}") as channel:
        yield channel


@pytest.fixture(scope="module")
def stub(channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


def test_row_and_columnar_predictions(ask, served):
    row = {"instances": [{"image_bytes": b64(image)} for image in served.images]}
    status, answer = ask("POST", "/v1/models/pets:predict", row)
    assert status == 200
    for index, found in enumerate(answer["predictions"]):
        expected = served.best(index)
        assert found["class_names"] == [name for name, _ in expected]
        np.testing.assert_allclose(found["probabilities"], [p for _, p in expected], atol=1e-6)
    columns = {"inputs": [b64(image) for image in served.images]}
    status, other = ask("POST", "/v1/models/pets/versions/7:predict", columns)
    assert status == 200
    assert other["outputs"]["class_names"] == [f["class_names"] for f in answer["predictions"]]


def test_a_signature_with_one_output_has_no_name_in_the_answer(ask, served):
    body = {"signature_name": "features", "instances": [b64(served.images[0])]}
    status, answer = ask("POST", "/v1/models/pets:predict", body)
    assert status == 200
    np.testing.assert_allclose(answer["predictions"], served.pre_logits[:1], atol=1e-5)


def test_status_and_metadata(ask):
    status, answer = ask("GET", "/v1/models/pets")
    state = {"version": "7", "state": "AVAILABLE"}
    state["status"] = {"error_code": "OK", "error_message": ""}
    assert (status, answer) == (200, {"model_version_status": [state]})
    assert ask("GET", "/v1/models/pets/versions/7") == (200, answer)
    status, answer = ask("GET", "/v1/models/pets/metadata")
    assert status == 200 and answer["model_spec"]["version"] == "7"
    definition = answer["metadata"]["signature_def"]["signature_def"]["pixels"]
    assert definition["method_name"] == "tensorflow/serving/predict"
    assert definition["inputs"]["pixels"]["dtype"] == "DT_UINT8"
    sizes = [dim["size"] for dim in definition["inputs"]["pixels"]["tensor_shape"]["dim"]]
    assert sizes == ["-1", "16", "16", "3"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "text"),
    [
        ("GET", "/v1/models", None, 400, "Missing model name"),
        ("GET", "/v1/models/dogs", None, 404, "Could not find any versions of model dogs"),
        ("GET", "/v1/models/pets/versions/8", None, 404, "Could not find version 8"),
        ("GET", "/v1/models/pets/labels/stable/metadata", None, 400, "version label: stable"),
        ("GET", "/v2/models/pets", None, 400, "Malformed request: GET /v2"),
        ("POST", "/v1/models/pets", b"{}", 400, "Malformed request: POST"),
        ("POST", "/v1/models/pets/versions/x:predict", b"{}", 400, "Malformed request"),
        ("POST", f"/v1/models/pets/versions/{10**30}:predict", b"{}", 400, "to numeric"),
        ("POST", "/v1/models/dogs:predict", b"{}", 404, r"Latest\(dogs\)"),
        ("POST", "/v1/models/pets/versions/8:predict", b"{}", 404, r"Specific\(pets, 8\)"),
        ("POST", "/v1/models/pets:predict", b"", 400, "must be JSON"),
        ("POST", "/v1/models/pets:predict", b"{", 400, "must be JSON"),
        ("POST", "/v1/models/pets:predict", {"instances": []}, 400, "at least one example"),
        ("POST", "/v1/models/pets:regress", b"{}", 501, "regress is not implemented"),
        ("POST", "/v1/models/pets:classify", {"examples": [{"x": 1}]}, 400, "Was: tensorflow/se"),
        ("DELETE", "/v1/models/pets", None, 501, "Unsupported method"),
        ("POST", "/v1/models/pets:predict", {"signature_name": "x", "inputs": []}, 400, '"x" not'),
        (
            *("POST", "/v1/models/pets:predict", b'{"signature_name": "\\ud800", "inputs": []}'),
            *(400, "not found"),
        ),
    ],
)
def test_errors_have_the_status_of_tensorflow_serving(ask, method, path, body, status, text):
    found, answer = ask(method, path, body)
    assert found == status and list(answer) == ["error"]
    assert re.search(text, answer["error"]), answer
    assert ask("GET", "/v1/models/pets")[0] == 200


@pytest.mark.parametrize(
    ("signature", "inputs", "text"),
    [
        ("serving_default", [b64(b"garbage")], "must be JPEG, PNG, GIF or BMP.*[0]"),
        (
            "serving_default",
            [b64(generated_images.scan_bomb())],
            "a JPEG must have at most 64 scans, and 10,000 segments; not the case at .*[0]",
        ),
        ("serving_default", ["text that is not base64"], "must be JPEG, PNG, GIF or BMP"),
        (
            "serving_default",
            [[b64(b"x")]],
            r"image_bytes must be string \[N\]; got string \[1, 1\]",
        ),
        ("pixels", [[[[1, 2, 3]]]], r"must be uint8 \[N, 16, 16, 3\]; got uint8 \[1, 1, 1, 3\]"),
        ("pixels", np.zeros([1, 32, 8, 3], int).tolist(), r"got uint8 \[1, 32, 8, 3\]"),
        ("pixels", [0.5], "got values that are not uint8"),
        ("examples", [b64(b"garbage")], "tf.Example of the request is corrupt"),
        ("examples", [b64(b"")], "image/encoded .* is required but could not be found"),
        ("features", {"pixels": []}, "exactly the inputs image_bytes; got pixels"),
    ],
)
def test_a_wrong_input_is_one_clear_error_and_the_server_lives_on(
    ask, served, signature, inputs, text
):
    path = "/v1/models/pets:predict"
    status, answer = ask("POST", path, {"signature_name": signature, "inputs": inputs})
    assert status == 400
    assert re.search(text, answer["error"]), answer
    assert "\n" not in answer["error"] and len(answer["error"]) < 600
    assert ask("POST", path, {"instances": [b64(served.images[0])]})[0] == 200


def test_compressed_and_chunked_bodies_are_read(ask, served):
    body = json.dumps({"instances": [b64(served.images[0])]}).encode()
    path = "/v1/models/pets:predict"
    assert ask("POST", path, gzip.compress(body), {"Content-Encoding": "gzip"})[0] == 200
    pieces = iter([body[:10], body[10:]])
    assert ask("POST", path, pieces, {"Transfer-Encoding": "chunked"})[0] == 200
    status, answer = ask("POST", path, body, {"Content-Encoding": "gzip"})
    assert status == 400 and "must be gzip" in answer["error"]


@pytest.mark.parametrize("size", [b"-1", b"0x5", b"1_0", b""])
def test_the_size_of_a_chunk_is_a_number_of_bytes(model_server, size):
    connection = http.client.HTTPConnection("localhost", model_server.rest_port, timeout=60)
    connection.putrequest("POST", "/v1/models/pets:predict")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders(size + b"\r\nabc")
    response = connection.getresponse()
    assert response.status == 400 and b"must start with its size" in response.read()


def test_a_body_that_is_too_large_is_refused_before_it_is_read(model_server, ask):
    connection = http.client.HTTPConnection("localhost", model_server.rest_port, timeout=60)
    connection.putrequest("POST", "/v1/models/pets:predict")
    connection.putheader("Content-Length", str(10**12))
    connection.endheaders()
    assert connection.getresponse().status == 400
    assert ask("GET", "/v1/models/pets")[0] == 200


def request_for(images, **spec) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = spec.pop("name", "pets")
    request.model_spec.signature_name = spec.pop("signature_name", "")
    request.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto(images, tf.string))
    return request


def test_grpc_predict_with_the_original_stub(stub, served):
    request = request_for(served.images)
    request.output_filter.append("probabilities")
    answer = stub.Predict(request)
    assert list(answer.outputs) == ["probabilities"]
    assert answer.model_spec.name == "pets" and answer.model_spec.version.value == 7
    expected = -np.sort(-served.probabilities, axis=1)[:, :5]
    found = tf.make_ndarray(answer.outputs["probabilities"])
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_grpc_metadata_and_status(stub, channel):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "pets"
    found = get_model_metadata_pb2.SignatureDefMap()
    stub.GetModelMetadata(request).metadata["signature_def"].Unpack(found)
    assert {"serving_default", "pixels", "features", "examples"} <= set(found.signature_def)
    status_request = get_model_status_pb2.GetModelStatusRequest()
    status_request.model_spec.name = "pets"
    answer = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(status_request)
    assert [each.version for each in answer.model_version_status] == [7]


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        (lambda r: setattr(r.model_spec, "name", "x"), "NOT_FOUND", "Servable not found"),
        (lambda r: setattr(r.model_spec, "signature_name", "x"), "INVALID_ARGUMENT", "not found"),
        (lambda r: setattr(r.model_spec.version, "value", 3), "NOT_FOUND", "Specific"),
        (lambda r: r.output_filter.append("x"), "INVALID_ARGUMENT", "alias not found.*: x"),
        (lambda r: r.inputs.clear(), "INVALID_ARGUMENT", "exactly the inputs image_bytes"),
        (
            lambda r: r.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto([1.0])),
            "INVALID_ARGUMENT",
            r"must be string \[N\]; got float32 \[1\]",
        ),
        (
            lambda r: r.inputs["image_bytes"].__setattr__("dtype", 0),
            "INVALID_ARGUMENT",
            "must be a valid tensor",
        ),
    ],
)
def test_grpc_errors(stub, served, change, code, text):
    request = request_for(served.images)
    change(request)
    with pytest.raises(grpc.RpcError) as caught:
        stub.Predict(request)
    assert caught.value.code().name == code
    assert re.search(text, caught.value.details())
    stub.Predict(request_for(served.images))


def test_methods_that_are_not_there_say_so(stub):
    classify = classification_pb2.ClassificationRequest()
    classify.model_spec.name = "pets"
    classify.input.example_list.examples.add()
    with pytest.raises(grpc.RpcError) as caught:
        stub.Classify(classify)
    assert caught.value.code().name == "INVALID_ARGUMENT"
    assert "Use predict for the signature serving_default" in caught.value.details()
    with pytest.raises(grpc.RpcError) as caught:
        stub.Regress(regression_pb2.RegressionRequest())
    assert caught.value.code().name == "UNIMPLEMENTED"


def test_a_photograph_beyond_4_mb_is_accepted_by_grpc(addresses, served):
    large = served.images[1] + bytes(6 * 2**20)  # a PNG ends before its padding
    with Client(addresses["grpc"], "pets") as client:
        assert client.classify([large]) == client.classify(served.images[1:2])


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """A SavedModel with a signature for the method classify, as TensorFlow 1 writes it."""
    path = str(tmp_path_factory.mktemp("classifier") / "3")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        serialized = tf.compat.v1.placeholder(tf.string, [None])
        spec = {"x": tf.io.FixedLenFeature([], tf.float32)}
        x = tf.io.parse_example(serialized, spec)["x"]
        scores = tf.stack([x, 1 - x], axis=1)
        classes = tf.broadcast_to(tf.constant([["yes", "nö"]]), tf.shape(scores))
        signature = tf.compat.v1.saved_model.classification_signature_def(
            serialized, classes, scores
        )
        builder = tf.compat.v1.saved_model.Builder(path)
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
        builder.save()
    with ModelServer(path, name="c", rest_port=0, grpc_port=0) as server:
        yield server


def test_classify_where_the_signature_is_made_for_it(classifier):
    connection = http.client.HTTPConnection("localhost", classifier.rest_port, timeout=60)
    body = json.dumps({"context": {"unused": "x"}, "examples": [{"x": 0.25}, {"x": [1.0]}]})
    connection.request("POST", "/v1/models/c:classify", body)
    answer = json.loads(connection.getresponse().read())
    assert answer == {"results": [[["yes", 0.25], ["nö", 0.75]], [["yes", 1.0], ["nö", 0.0]]]}
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name = "c"
    request.input.example_list.examples.add().features.feature["x"].float_list.value.append(0.25)
    with grpc.insecure_channel(f"localhost:{classifier.grpc_port}") as channel:
        found = prediction_service_pb2_grpc.PredictionServiceStub(channel).Classify(request)
    (row,) = found.result.classifications
    assert [(each.label, each.score) for each in row.classes] == [("yes", 0.25), ("nö", 0.75)]


@pytest.mark.parametrize(
    ("example", "text"),
    [
        ({"x": 10**30}, "the feature x must have integers from -9223372036854775808 to 92233720"),
        ({"x": [1, -(2**63) - 1]}, "the feature x must have integers from"),
        ({"x": [1, "a"]}, "must have values of one type"),
        ({"\ud800": 1}, "the name of a feature must be valid Unicode"),
    ],
)
def test_a_wrong_example_of_classify_is_one_clear_error(classifier, example, text):
    connection = http.client.HTTPConnection("localhost", classifier.rest_port, timeout=60)
    connection.request("POST", "/v1/models/c:classify", json.dumps({"examples": [example]}))
    response = connection.getresponse()
    assert response.status == 400 and text in json.loads(response.read())["error"]


def wait_for(condition) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "no change within 60 s"
        time.sleep(0.05)


@pytest.mark.slow
def test_versions_are_picked_up_as_they_are_pushed(served, export_version_to, tmp_path):
    lines = []
    shutil.copytree(served.folder, tmp_path / "pets")
    server = ModelServer(
        str(tmp_path / "pets"), rest_port=0, grpc_port=0, poll_seconds=0.05, report=lines.append
    )
    with server, Client(f"localhost:{server.rest_port}", "pets") as client:
        before = client.classify(served.images)
        export_version_to(tmp_path / "pets", 8, seed=1)
        wait_for(lambda: client.status() == {8: "AVAILABLE", 7: "END"})
        assert client.classify(served.images) != before
        broken = tmp_path / "pets" / "9"
        (tmp_path / "9").mkdir()
        (tmp_path / "9" / "saved_model.pb").write_bytes(b"broken")
        (tmp_path / "9").rename(broken)
        wait_for(lambda: client.status().get(9) == "END")
        assert client.status()[8] == "AVAILABLE"
        assert len(lines) == 2 and "version 9 is not served" in lines[1]
        shutil.copytree(tmp_path / "pets" / "8", broken, dirs_exist_ok=True)  # complete at last
        wait_for(lambda: client.status()[9] == "AVAILABLE")
        shutil.rmtree(broken)
        shutil.rmtree(tmp_path / "pets" / "8")  # as a rollback does
        wait_for(lambda: client.status()[7] == "AVAILABLE")
        assert client.classify(served.images) == before


def test_concurrent_requests_are_joined_and_a_bad_one_fails_alone(served):
    batching = BatchingParameters(
        batch_timeout_micros=200_000, num_batch_threads=1, max_execution_batch_size=64
    )
    with ModelServer(str(served.folder), rest_port=0, grpc_port=0, batching=batching) as server:
        client = Client(f"grpc://localhost:{server.grpc_port}", "pets")
        sizes = count_batches(server)
        with futures.ThreadPoolExecutor(8) as pool:
            inputs = [served.images[:1], [b"bad"], served.images[1:3], served.images] * 2
            answers = list(pool.map(client.classify_each, inputs))
    assert max(sizes) > 8, "no requests were joined"
    for given, answer in zip(inputs, answers, strict=True):
        assert len(answer) == len(given)
        for image, found in zip(given, answer, strict=True):
            if image == b"bad":
                assert "must be JPEG" in str(found)
                continue
            expected = served.best(served.images.index(image))
            values = [each.probability for each in found]
            np.testing.assert_allclose(values, [value for _, value in expected], atol=1e-6)


def count_batches(server) -> list[int]:
    servable, sizes = server.model.current(), []
    predict = servable.predict

    def counted(signature, inputs):
        sizes.append(len(next(iter(inputs.values()))))
        return predict(signature, inputs)

    servable.predict = counted
    return sizes


@pytest.mark.slow
def test_a_port_in_use_is_one_clear_error(model_server, served):
    for option, port in (("rest", model_server.rest_port), ("grpc", model_server.grpc_port)):
        ports = {"rest_port": 0, "grpc_port": 0, f"{option}_port": port}
        with pytest.raises(
            ValueError, match=f"--{option}-port must be a free port .*{port}: it is"
        ):
            ModelServer(str(served.folder), **ports)


@pytest.mark.parametrize(
    ("below", "given", "name", "is_watched"),
    [
        ("pets/7", "pets", "pets", True),
        ("pets/7", "pets/7", "pets", False),
        ("pets/7", "pets/", "pets", True),
        ("pets/7", "pets/7/", "pets", False),
        ("pets/7", "pets/7/.", "pets", False),
        ("pets/7", "./pets/../pets//7//", "pets", False),
        ("out/serving/1", "out", "out", True),
        ("out/serving/1", "out/serving", "out", True),
        ("out/serving/1", "out/serving/1", "out", False),
        ("exported", "exported", "exported", False),
        ("model/Format-Serving", "model", "model", False),
    ],
)
def test_the_name_is_that_of_the_folder(tmp_path, below, given, name, is_watched):
    (tmp_path / below).mkdir(parents=True)
    (tmp_path / below / "saved_model.pb").touch()
    found = models.find(f"{tmp_path}/{given}")
    assert (found.name, found.is_watched) == (name, is_watched)
    assert os.path.basename(found.path) == pathlib.Path(below).parts[-2 if is_watched else -1]


def test_the_name_of_a_version_in_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "pets" / "7").mkdir(parents=True)
    (tmp_path / "pets" / "7" / "saved_model.pb").touch()
    monkeypatch.chdir(tmp_path / "pets" / "7")
    assert models.find(".") == models.ModelFolder(str(tmp_path / "pets" / "7"), False, "pets")


def test_the_name_of_a_remote_version(monkeypatch):
    monkeypatch.setattr(models.locations, "resolve_saved_model", lambda model: model)
    assert models.find("gs://b/pets/7/") == models.ModelFolder("gs://b/pets/7", False, "pets")


def test_a_model_that_does_not_load_is_one_clear_error(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"broken")
    with pytest.raises(ValueError, match="must load as a SavedModel"):
        ModelServer(str(tmp_path), rest_port=0, grpc_port=0)


def test_a_client_that_asks_before_it_sends_the_body_is_answered(model_server, served):
    """curl does so above 1 MB, and waits a second."""
    body = json.dumps({"instances": [b64(served.images[0])]}).encode()
    head = (
        "POST /v1/models/pets:predict HTTP/1.1\r\nHost: x\r\n"
        f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
    )
    with socket.create_connection(("localhost", model_server.rest_port), timeout=60) as client:
        client.sendall(head.encode())
        assert client.recv(1000).startswith(b"HTTP/1.1 100 ")
        client.sendall(body)
        assert client.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_a_running_rest_request_is_answered_before_the_end(served, monkeypatch):
    write, writing = tensor_json.write_response, threading.Event()

    def write_slowly(*arguments):
        writing.set()
        time.sleep(0.5)
        return write(*arguments)

    monkeypatch.setattr(tensor_json, "write_response", write_slowly)
    server = ModelServer(str(served.folder), name="pets", rest_port=0, grpc_port=0)
    url = f"http://localhost:{server.rest_port}/v1/models/pets:predict"
    body = json.dumps({"instances": [b64(served.images[0])]}).encode()
    with futures.ThreadPoolExecutor(1) as pool:
        answer = pool.submit(lambda: urllib.request.urlopen(url, body, timeout=60).status)
        assert writing.wait(60)
        server.stop()
        assert answer.result(timeout=60) == 200


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_an_ipv6_address_can_be_the_host(served):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no address ::1")
    with (
        ModelServer(
            str(served.folder), name="pets", host="::1", rest_port=0, grpc_port=0
        ) as server,
        grpc.insecure_channel(f"[::1]:{server.grpc_port}") as channel,
    ):
        grpc.channel_ready_future(channel).result(timeout=60)
        with socket.create_connection(("::1", server.rest_port), timeout=60):
            pass
