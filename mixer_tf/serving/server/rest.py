# SPDX-License-Identifier: Apache-2.0
"""TensorFlow Serving's REST interface for one model, on the HTTP server of the standard library.

Source: tensorflow_serving/model_servers/http_rest_api_util.cc.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import re
import socket
import threading
import urllib.parse
import zlib
from collections.abc import Iterator
from typing import Any

import tensorflow as tf
from google.protobuf import json_format

from mixer_tf.serving import statuses, tensor_json
from mixer_tf.serving.server import page
from mixer_tf.serving.server.grpc_services import signature_def_map, status_response
from mixer_tf.serving.server.service import Service, Target
from mixer_tf.serving.statuses import INVALID_ARGUMENT, ServingError

MAX_BODY = 512 * 2**20
_MODEL = r"/v1/models/([^/:]+)(?:/versions/(\d+)|/labels/([^/:]+))?"
_POST = re.compile(_MODEL + r":(classify|regress|predict)", re.IGNORECASE)
_GET = re.compile(_MODEL + r"(?:/(metadata))?", re.IGNORECASE)
_HEXADECIMAL = re.compile(rb"[0-9A-Fa-f]+")
_IDLE_SECONDS = 120
_JSON = "application/json"


class RestServer(http.server.ThreadingHTTPServer):
    """An HTTP server with one thread per connection."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, host: str, port: int, service: Service):
        self.service = service
        self.address_family = socket.getaddrinfo(host, None)[0][0]
        self._changed, self._running = threading.Condition(), 0
        super().__init__((host, port), _Handler)

    @contextlib.contextmanager
    def answering(self) -> Iterator[None]:
        """Counts a request as running within the block."""
        with self._changed:
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def wait_for_answers(self, seconds: float) -> None:
        """Waits until no request is running, but not longer than so many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: not self._running, seconds)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is not an error of the server."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: RestServer
    protocol_version = "HTTP/1.1"
    server_version = "mixer-serve"
    timeout = _IDLE_SECONDS
    disable_nagle_algorithm = True
    wbufsize = -1  # header and body in one packet

    def do_GET(self) -> None:
        path = self._path()
        if path in ("/", "/index.html"):
            name = self.server.service.model.name
            self._send(200, page.render(name), page.CONTENT_TYPE, page.HEADERS)
            return
        self._answer(lambda: _get(self.server.service, path))

    def do_POST(self) -> None:
        with self.server.answering():
            self._answer(lambda: _post(self.server.service, self._path(), self._read_body()))
            self.wfile.flush()

    def handle_expect_100(self) -> bool:
        """Asks for the body at once; because of `wbufsize`, the line would wait for the answer."""
        super().handle_expect_100()
        self.wfile.flush()
        return True

    def _path(self) -> str:
        return urllib.parse.urlsplit(self.path).path

    def _answer(self, function) -> None:
        try:
            status, content = 200, function()
        except ServingError as error:
            status, content = statuses.http_status(error.code), _error(str(error))
        except Exception as error:
            text = f"{type(error).__name__}: {error}".splitlines()[0]
            status, content = 500, _error(text)
        self._send(status, content, _JSON)

    def _send(self, status: int, content: bytes, content_type: str, headers=()) -> None:
        self.send_response(status)
        for name, value in (("Content-Type", content_type), *headers):
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    def _read_body(self) -> bytes:
        """Returns the body of a request, unpacked if it is compressed.

        Raises:
            ServingError: it is too large, of unknown length, or not as the headers say.
        """
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            body = self._read_chunks()
        else:
            body = self.rfile.read(self._content_length())
        if self.headers.get("Content-Encoding", "").lower() != "gzip":
            return body
        return self._unpack(body)

    def _content_length(self) -> int:
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal():
            self._refuse("Content-Length must be a number of bytes.")
        if int(length) > MAX_BODY:
            self._refuse(f"the body of a request must have at most {MAX_BODY:,} bytes.")
        return int(length)

    def _read_chunks(self) -> bytes:
        chunks, total = [], 0
        while size := self._chunk_size():
            total += size
            if total > MAX_BODY:
                self._refuse(f"the body of a request must have at most {MAX_BODY:,} bytes.")
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():  # trailing headers
            pass
        return b"".join(chunks)

    def _chunk_size(self) -> int:
        size = self.rfile.readline(64).partition(b";")[0].strip()
        if not _HEXADECIMAL.fullmatch(size):
            self._refuse("a chunk of the body must start with its size.")
        return int(size, 16)

    def _unpack(self, body: bytes) -> bytes:
        unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
        try:
            unpacked = unpacker.decompress(body, MAX_BODY)
        except zlib.error:
            raise ServingError(INVALID_ARGUMENT, "the body must be gzip, as it says.") from None
        if unpacker.unconsumed_tail:
            text = f"the body of a request must have at most {MAX_BODY:,} bytes."
            raise ServingError(INVALID_ARGUMENT, text)
        return unpacked

    def _refuse(self, message: str) -> None:
        """Raises an error, after which the rest of the body cannot be read."""
        self.close_connection = True
        raise ServingError(INVALID_ARGUMENT, message)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answers a malformed request with JSON instead of a page; called by the base class."""
        self.close_connection = True
        self._send(code, _error(f"Malformed request: {message or code}"), _JSON)

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not logged."""


def _get(service: Service, path: str) -> bytes:
    if path.rstrip("/").lower() == "/v1/models":
        raise ServingError(INVALID_ARGUMENT, "Missing model name in request.")
    target, wanted = _parse(_GET, "GET", path)
    if not wanted:
        return _message(status_response(service, target))
    found = service.find(target)
    model = {"name": target.name, "signature_name": "", "version": str(found.version)}
    signatures = json_format.MessageToDict(
        signature_def_map(found),
        including_default_value_fields=True,
        preserving_proto_field_name=True,
    )
    answer = {"model_spec": model, "metadata": {"signature_def": signatures}}
    return json.dumps(answer, indent=1, ensure_ascii=False).encode()


def _post(service: Service, path: str, body: bytes) -> bytes:
    target, method = _parse(_POST, "POST", path)
    found = service.find(target)
    if method == "predict":
        call = tensor_json.read_request(body, found.input_specs)
        outputs = service.predict(found, call.signature, call.inputs)
        return tensor_json.write_response(outputs, call.is_row)
    if method == "classify":
        request = tensor_json.parse_object(body)
        signature = tensor_json.read_signature(request)
        results = service.classify(found, signature, _read_examples(request))
        return json.dumps({"results": results}, ensure_ascii=False).encode()
    raise ServingError(
        statuses.UNIMPLEMENTED, "regress is not implemented: the model classifies. Use predict."
    )


def _parse(pattern: re.Pattern, method: str, path: str) -> tuple[Target, str]:
    match = pattern.fullmatch(path)
    if not match:
        raise ServingError(INVALID_ARGUMENT, f"Malformed request: {method} {path}")
    name, version, label, last = match.groups()
    number = int(version) if version else None
    if number is not None and number >= 2**63:
        raise ServingError(INVALID_ARGUMENT, f"Failed to convert version: {version} to numeric.")
    target = Target(urllib.parse.unquote(name), number, urllib.parse.unquote(label or ""))
    return target, (last or "").lower()


def _read_examples(request: dict) -> list[bytes]:
    """Returns the examples of a classify request as serialized tf.Examples."""
    examples, context = request.get("examples"), request.get("context", {})
    if not isinstance(examples, list) or not examples:
        text = "a classify request must have 'examples', a list with at least one example."
        raise ServingError(INVALID_ARGUMENT, text)
    if not all(isinstance(each, dict) for each in [context, *examples]):
        raise ServingError(INVALID_ARGUMENT, "an example must be an object of named features.")
    return [_example({**context, **each}) for each in examples]


def _example(features: dict) -> bytes:
    example = tf.train.Example()
    for name, value in features.items():
        try:
            feature = example.features.feature[name]
        except UnicodeEncodeError:  # a surrogate, which JSON can write
            text = f"the name of a feature must be valid Unicode; got {name!r}."
            raise ServingError(INVALID_ARGUMENT, text) from None
        _fill(name, feature, value if isinstance(value, list) else [value])
    return example.SerializeToString()


def _fill(name: str, feature: tf.train.Feature, values: list) -> None:
    """Stores the values of one feature: strings or bytes, integers, or floats; not mixed."""
    if all(isinstance(value, (str, dict)) for value in values):
        strings = tensor_json.to_array(name, values, tensor_json.TensorSpec("string", (None,)))
        feature.bytes_list.value.extend(strings)
    elif all(isinstance(value, int) for value in values):
        if not all(-(2**63) <= value < 2**63 for value in values):
            text = f"the feature {name} must have integers from {-(2**63)} to {2**63 - 1}."
            raise ServingError(INVALID_ARGUMENT, text)
        feature.int64_list.value.extend(map(int, values))
    elif all(isinstance(value, float) for value in values):
        feature.float_list.value.extend(values)
    else:
        text = f"the feature {name} must have values of one type: strings, integers or floats."
        raise ServingError(INVALID_ARGUMENT, text)


def _message(message: Any) -> bytes:
    return json_format.MessageToJson(
        message, including_default_value_fields=True, preserving_proto_field_name=True, indent=1
    ).encode()


def _error(text: str) -> bytes:
    return json.dumps({tensor_json.ERROR: text}).encode()  # in ASCII, which has lone surrogates
