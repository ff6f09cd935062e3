# SPDX-License-Identifier: Apache-2.0
"""`Client` against the development server, and against servers that fail in every way."""

import contextlib
import http.server
import json
import subprocess
import sys
import threading
import time
from concurrent import futures

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from mixer_tf.serving.client import Client
from mixer_tf.serving.statuses import ServingError


def strings(*values: bytes) -> np.ndarray:
    return np.array([*values, None], object)[:-1]


def test_classify_equals_the_trained_model(client, served):
    answers = client.classify(served.images)
    assert len(answers) == 4
    for row, answer in enumerate(answers):
        expected = served.best(row)
        assert [each.class_name for each in answer] == [name for name, _ in expected]
        found = [each.probability for each in answer]
        np.testing.assert_allclose(found, [value for _, value in expected], atol=1e-6)


def test_every_signature_equals_the_trained_model(client, served):
    from mixer_tf.features import ImageRecord

    features = client.features(served.images)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, served.pre_logits, atol=1e-5)
    pixels = client.predict({"pixels": served.pixels}, "pixels")
    expected = -np.sort(-served.probabilities, axis=1)[:, :5]
    np.testing.assert_allclose(pixels["probabilities"], expected, atol=1e-6)
    examples = [ImageRecord(i, "", 1, "x", "y", 1, 1).to_example() for i in served.images]
    outputs = client.predict({"examples": strings(*examples)}, "examples")
    np.testing.assert_allclose(outputs["probabilities"], served.probabilities, atol=1e-6)


def test_both_transports_give_the_same_arrays(addresses, served):
    inputs = {"image_bytes": strings(*served.images)}
    rest, by_grpc = (Client(address, "pets").predict(inputs) for address in addresses.values())
    assert rest.keys() == by_grpc.keys()
    for name in rest:
        assert rest[name].dtype == by_grpc[name].dtype
        np.testing.assert_array_equal(rest[name], by_grpc[name])


def test_an_empty_batch_has_an_empty_answer(client):
    assert client.classify([]) == []


def test_status_and_signatures(client):
    assert client.status() == {7: "AVAILABLE"}
    inputs, outputs = client.signatures()["pixels"]
    assert inputs["pixels"].dtype == "uint8" and inputs["pixels"].shape == (None, 16, 16, 3)
    assert outputs["probabilities"].dtype == "float32"
    assert outputs["class_names"].dtype == "string"


def test_one_bad_image_takes_no_answer_away_in_classify_each(client, served):
    with pytest.raises(ServingError) as caught:
        client.classify([served.images[0], b"no image"])
    assert caught.value.code == "INVALID_ARGUMENT"
    good, bad, other = client.classify_each([served.images[0], b"no image", served.images[1]])
    assert [good, other] == client.classify(served.images[:2])
    assert isinstance(bad, ServingError) and "must be JPEG, PNG, GIF or BMP" in str(bad)
    (alone,) = client.classify_each([b"no image"])
    assert isinstance(alone, ServingError)


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        ({"model": "cats"}, "NOT_FOUND", r"Latest\(cats\)"),
        ({"version": 8}, "NOT_FOUND", r"Specific\(pets, 8\)"),
    ],
)
@pytest.mark.parametrize("kind", ["rest", "grpc"])
def test_an_unknown_model_or_version_is_not_retried(addresses, served, kind, change, code, text):
    client = Client(addresses[kind], **{"model": "pets", **change}, backoff=60)
    with pytest.raises(ServingError, match=text) as caught:
        client.classify(served.images)
    assert caught.value.code == code


def test_a_version_can_be_chosen(addresses, served):
    for address in addresses.values():
        assert len(Client(address, "pets", version=7).classify(served.images)) == 4


def test_an_unknown_signature_names_those_that_exist(client, served):
    with pytest.raises(ServingError, match="classes.*examples, features, pixels"):
        client.predict({"image_bytes": strings(*served.images)}, "classes")


class Failing(http.server.BaseHTTPRequestHandler):
    """Answers with the next of the server's (status, headers, body), or closes for None."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.paths.append(self.path)
        answer = self.server.answers.pop(0)
        if answer is None:
            self.close_connection = True
            return
        status, headers, body = answer
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.server.answers.insert(0, self.server.metadata)
        self.headers["Content-Length"] = "0"
        self.do_POST()
        self.server.paths.pop()

    def log_message(self, *_):
        pass


def tensor(dtype, *sizes):
    return {"dtype": dtype, "tensor_shape": {"dim": [{"size": str(size)} for size in sizes]}}


_OUTPUTS = {
    "class_names": tensor("DT_STRING", -1, 1),
    "probabilities": tensor("DT_FLOAT", -1, 1),
}
_SIGNATURE = {"serving_default": {"inputs": {}, "outputs": _OUTPUTS}}
METADATA = (
    200,
    {},
    json.dumps({"metadata": {"signature_def": {"signature_def": _SIGNATURE}}}).encode(),
)
GOOD = (200, {}, b'{"outputs": {"class_names": [["a"]], "probabilities": [[1.0]]}}')


@pytest.fixture
def failing():
    server = http.server.ThreadingHTTPServer(("localhost", 0), Failing)
    server.answers, server.paths, server.metadata = [], [], METADATA
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def rest_client(server, **options) -> Client:
    return Client(f"localhost:{server.server_port}", "m", **{"backoff": 0.01, **options})


@pytest.mark.parametrize("status", [429, 502, 503])
def test_a_busy_or_missing_server_is_asked_again(failing, status):
    failing.answers = [(status, {}, b"{}"), (status, {}, b"not JSON"), GOOD]
    assert rest_client(failing).classify([b"x"])[0][0].class_name == "a"
    assert len(failing.paths) == 3


def test_a_connection_that_was_closed_is_opened_again(failing):
    failing.answers = [GOOD, None, GOOD]
    client = rest_client(failing, retries=0)
    client.classify([b"x"])
    client.classify([b"x"])  # on the open connection, then on a new one
    assert len(failing.paths) == 3


@pytest.mark.parametrize("status", [400, 404, 500, 501, 504])
def test_other_errors_are_not_repeated(failing, status):
    failing.answers = [(status, {}, b'{"error": "the reason"}'), GOOD]
    with pytest.raises(ServingError, match="^the reason$"):
        rest_client(failing).classify([b"x"])
    assert len(failing.paths) == 1


def test_the_last_error_is_raised_when_repetitions_are_used_up(failing):
    failing.answers = [(503, {}, b'{"error": "busy"}')] * 3
    with pytest.raises(ServingError, match="busy") as caught:
        rest_client(failing, retries=2).classify([b"x"])
    assert caught.value.code == "UNAVAILABLE" and len(failing.paths) == 3


def test_the_pause_doubles_and_follows_the_server(failing, monkeypatch):
    pauses = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    failing.answers = [(503, {}, b"{}")] * 2 + [(429, {"Retry-After": "7"}, b"{}"), GOOD]
    rest_client(failing, backoff=1).classify([b"x"])
    assert 0.5 <= pauses[0] <= 1 and 1 <= pauses[1] <= 2 and pauses[2] == 7


def test_a_pause_beyond_the_time_out_is_not_made(failing):
    failing.answers = [(503, {"Retry-After": "3600"}, b'{"error": "later"}')]
    with pytest.raises(ServingError, match="later"):
        rest_client(failing, timeout=5).classify([b"x"])


def test_an_answer_that_is_not_json_is_one_clear_error(failing):
    failing.answers = [(200, {}, b"<html>")]
    with pytest.raises(ServingError, match="must answer with JSON; it answered with HTTP 200"):
        rest_client(failing).classify([b"x"])


def test_a_model_of_another_kind_is_one_clear_error(failing):
    outputs = {"scores": tensor("DT_FLOAT", -1)}
    signature = {"serving_default": {"inputs": {}, "outputs": outputs}}
    metadata = {"metadata": {"signature_def": {"signature_def": signature}}}
    failing.metadata = (200, {}, json.dumps(metadata).encode())
    failing.answers = [(200, {}, b'{"outputs": [0.5]}')]
    with pytest.raises(ServingError, match="must return class_names and .*; m returns scores"):
        rest_client(failing).classify([b"x"])


@pytest.mark.parametrize("kind", ["http", "grpc"])
def test_a_silent_server_is_a_time_out(kind):
    import socket

    with socket.socket() as silent:
        silent.bind(("localhost", 0))
        silent.listen()
        address = f"{kind}://localhost:{silent.getsockname()[1]}"
        start = time.monotonic()
        with pytest.raises(ServingError) as caught, Client(address, "m", timeout=0.5) as client:
            client.status()
        assert time.monotonic() - start < 5
        assert caught.value.code in ("DEADLINE_EXCEEDED", "UNAVAILABLE")


def test_the_time_out_is_that_of_the_whole_answer():
    """A server that sends a byte now and then is no exception."""
    stop = threading.Event()

    class Dripping(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            while not stop.wait(0.2):
                self.wfile.write(b" ")

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("localhost", 0), Dripping) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        start = time.monotonic()
        with pytest.raises(ServingError, match="must answer within 0.9 s") as caught:
            rest_client(server, timeout=0.9).status()
        stop.set()
        assert 0.8 < time.monotonic() - start < 8
        assert caught.value.code == "DEADLINE_EXCEEDED"
        server.shutdown()


def test_the_time_out_is_that_of_a_first_prediction_too(failing, monkeypatch):
    """Which asks for the signatures before."""
    answer = Failing.do_POST
    monkeypatch.setattr(Failing, "do_POST", lambda handler: time.sleep(0.7) or answer(handler))
    failing.answers = [GOOD]
    with pytest.raises(ServingError) as caught, rest_client(failing, timeout=1.2) as client:
        client.classify([b"x"])
    assert caught.value.code == "DEADLINE_EXCEEDED"


@pytest.mark.parametrize("status", [400, 499])
def test_an_image_that_the_server_cannot_decode_has_an_error_of_its_own(failing, status):
    """TensorFlow Serving answers some corrupt images with CANCELLED, HTTP status 499."""
    refused = (status, {}, b'{"error": "corrupt"}')
    failing.answers = [refused, GOOD, refused, GOOD]
    first, second, third = rest_client(failing).classify_each([b"x", b"y", b"z"])
    assert first[0].class_name == third[0].class_name == "a"
    assert isinstance(second, ServingError) and str(second) == "corrupt"


@pytest.mark.parametrize("scheme", ["", "grpc://"])
def test_a_server_that_does_not_run_is_one_clear_error(scheme, free_port):
    client = Client(f"{scheme}localhost:{free_port}", "m", retries=1, backoff=0.01, timeout=20)
    with pytest.raises(ServingError, match=f"localhost:{free_port} must be reachable") as caught:
        client.status()
    assert caught.value.code == "UNAVAILABLE"


class Busy(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Gives each of the codes, then an answer."""

    def __init__(self, codes):
        self.codes, self.calls = list(codes), 0

    def Predict(self, request, context):
        self.calls += 1
        if self.codes:
            context.abort(self.codes.pop(0), "the reason")
        return predict_pb2.PredictResponse()


@pytest.mark.parametrize(
    ("code", "calls"), [("UNAVAILABLE", 3), ("RESOURCE_EXHAUSTED", 1), ("INTERNAL", 1)]
)
def test_grpc_repeats_only_unavailable(code, calls):
    servicer = Busy([grpc.StatusCode[code]] * 2)
    server = grpc.server(futures.ThreadPoolExecutor(2))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    client = Client(f"grpc://localhost:{port}", "m", backoff=0.01)
    if calls == 1:
        with pytest.raises(ServingError, match="the reason"):
            client.predict({})
    else:
        assert client.predict({}) == {}
    assert servicer.calls == calls
    client.close()
    server.stop(0)


@pytest.mark.parametrize(
    "address", ["", "localhost:x", "ftp://host:1", "grpc://host", "http://", "http://u@h:1"]
)
def test_a_wrong_address_is_refused(address):
    with pytest.raises(ValueError, match="the address of a (gRPC )?server must be"):
        Client(address, "m")


@pytest.mark.parametrize("options", [{"timeout": 0}, {"retries": -1}, {"backoff": -1.0}])
def test_wrong_options_are_refused(options):
    with pytest.raises(ValueError, match="a client needs the name of a model"):
        Client("localhost:1", "m", **options)


def test_a_path_before_the_interface_is_kept(failing):
    failing.answers = [GOOD]
    Client(f"http://localhost:{failing.server_port}/proxy/", "my model", version=3).classify([b"x"])
    assert failing.paths == ["/proxy/v1/models/my%20model/versions/3:predict"]


def test_threads_that_have_ended_leave_no_connection(failing):
    failing.answers = [GOOD] * 10
    with rest_client(failing) as client:
        opened = []
        connect = client._transport._connect
        client._transport._connect = lambda: opened.append(connect()) or opened[-1]
        for _ in range(10):
            thread = threading.Thread(target=client.classify, args=([b"x"],))
            thread.start()
            thread.join()
        assert len(failing.paths) == 10
        assert [each.sock is not None for each in opened] == [True]
    assert opened[0].sock is None


def test_calls_at_the_same_time_have_connections_of_their_own(failing):
    meet = threading.Barrier(4)
    failing.answers = [GOOD] * 9
    with rest_client(failing) as client:
        client.classify([b"x"])
        taken = client._transport._connection

        @contextlib.contextmanager
        def met():
            with taken() as connection:
                meet.wait(60)
                yield connection

        client._transport._connection = met
        with futures.ThreadPoolExecutor(4) as pool:
            for _ in range(2):
                answers = list(pool.map(client.classify, [[b"x"]] * 4))
                assert [each[0][0].class_name for each in answers] == ["a"] * 4
        idle = client._transport._idle
        assert len(set(idle)) == len(idle) == 4
    assert not any(each.sock for each in idle)


def test_a_call_that_ends_after_close_leaves_no_connection(failing):
    failing.answers = [GOOD]
    client = rest_client(failing)
    with client._transport._connection() as connection:
        connection.connect()
        client.close()
    assert connection.sock is None
    assert client.classify([b"x"])[0][0].class_name == "a"


def test_threads_share_a_client(client, served):
    with futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.classify(served.images), range(24)))
    for answer in answers:
        for row, expected in zip(answer, answers[0], strict=True):
            found = [each.probability for each in row]
            np.testing.assert_allclose(found, [each.probability for each in expected], atol=1e-6)


def test_rest_needs_no_tensorflow(addresses, served, tmp_path):
    image = tmp_path / "image.jpg"
    image.write_bytes(served.images[0])
    code = (
        "import sys; from mixer_tf.serving.client import Client\n"
        f"image = open({str(image)!r}, 'rb').read()\n"
        f"answer = Client({addresses['rest']!r}, 'pets').classify([image])\n"
        "print(answer[0][0].class_name); print('tensorflow' in sys.modules, 'grpc' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", code], capture_output=True, text=True, encoding="utf-8"
    )
    assert done.stdout.splitlines() == [served.best(0)[0][0], "False False"], done.stderr
