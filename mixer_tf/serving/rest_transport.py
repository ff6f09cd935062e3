# SPDX-License-Identifier: Apache-2.0
"""REST calls of `Client`, by the standard library; as many open connections as calls at a time."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from mixer_tf.serving import contract, statuses, tensor_json
from mixer_tf.serving.statuses import ServingError
from mixer_tf.serving.tensor_json import TensorSpec

_TRANSIENT = (429, 502, 503)
_DTYPES = {"DT_STRING": "string", "DT_FLOAT": "float32", "DT_DOUBLE": "float64", "DT_BOOL": "bool"}


class RestTransport:
    """The REST interface of one model; see `Client` for the arguments."""

    needs_specs = True

    def __init__(self, scheme: str, address: str, model: str, version: int | None):
        parts = _split(scheme, address)
        connection = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
        self._connect = lambda: connection[scheme](parts.hostname, parts.port)
        self._where = f"{scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
        at_version = "" if version is None else f"/versions/{version}"
        name = urllib.parse.quote(model, safe="")
        self._all_versions = f"{parts.path.rstrip('/')}/v1/models/{name}"
        self._path = self._all_versions + at_version
        self._lock, self._is_closed = threading.Lock(), False
        self._idle: list[http.client.HTTPConnection] = []

    def predict(
        self,
        inputs: Mapping[str, np.ndarray],
        signature: str,
        specs: Mapping[str, TensorSpec],
        timeout: float,
    ) -> dict[str, np.ndarray]:
        body = tensor_json.write_request(inputs, signature)
        answer = self._request("POST", f"{self._path}:predict", timeout, body)
        try:
            return tensor_json.read_response(answer, specs)
        except (ValueError, ServingError) as error:
            raise ServingError(statuses.INTERNAL, str(error)) from error

    def status(self, timeout: float) -> dict[int, str]:
        answer = self._request("GET", self._path, timeout)
        found = answer.get("model_version_status", [])
        return {int(each["version"]): each["state"] for each in found}

    def signatures(self, timeout: float) -> dict[str, tuple[dict, dict]]:
        answer = self._request("GET", f"{self._path}/metadata", timeout)
        found = answer["metadata"]["signature_def"]["signature_def"]
        return {
            name: (_read_specs(each.get("inputs", {})), _read_specs(each.get("outputs", {})))
            for name, each in found.items()
            if name != contract.INIT_SIGNATURE
        }

    def is_transient(self, error: ServingError) -> bool:
        """Whether the same call may succeed a moment later."""
        return getattr(error, "http_status", 503) in _TRANSIENT and error.code in (
            statuses.UNAVAILABLE,
            statuses.RESOURCE_EXHAUSTED,
        )

    def close(self) -> None:
        """Closes the connections; one that is in use, when its call ends."""
        with self._lock:
            self._is_closed = True
            for connection in self._idle:
                connection.close()

    def _request(self, method: str, path: str, timeout: float, body: bytes | None = None) -> Any:
        """Sends a request, and parses the response."""
        with self._connection() as connection:
            response = self._exchange(connection, method, path, timeout, body)
        return self._parse(*response)

    def _exchange(
        self, connection, method: str, path: str, timeout: float, body: bytes | None
    ) -> tuple[int, Any, bytes]:
        """Sends a request; a connection that the server closed in the meantime is opened again."""
        deadline = time.monotonic() + timeout
        is_used = connection.sock is not None
        try:
            try:
                return _send(connection, method, path, deadline, body)
            except (ConnectionResetError, BrokenPipeError):
                connection.close()
                if not is_used:
                    raise
                return _send(connection, method, path, deadline, body)
        except TimeoutError as error:
            text = f"{self._where} must answer within {timeout:.1f} s; it did not."
            raise ServingError(statuses.DEADLINE_EXCEEDED, text) from error
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error

    def _parse(self, status: int, headers: Any, content: bytes) -> Any:
        """Returns the JSON of a response, or raises its error."""
        try:
            answer = json.loads(content)
        except ValueError:
            answer = None
        if status == 200 and isinstance(answer, dict):
            return answer
        message = answer.get(tensor_json.ERROR) if isinstance(answer, dict) else None
        text = message or f"{self._where} must answer with JSON; it answered with HTTP {status}."
        error = ServingError(statuses.code_of(status), text)
        error.http_status = status
        error.retry_after = _seconds(headers.get("Retry-After"))
        raise error

    @contextlib.contextmanager
    def _connection(self) -> Iterator[http.client.HTTPConnection]:
        """Yields a connection that no other call uses; without an error, it stays open."""
        with self._lock:
            connection = self._idle.pop() if self._idle else self._connect()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        finally:
            with self._lock:
                if self._is_closed:
                    connection.close()
                self._idle.append(connection)

    def _unreachable(self, error: Exception) -> ServingError:
        if isinstance(error, http.client.BadStatusLine) and not isinstance(error, OSError):
            text = f"{self._where} does not speak HTTP. For a gRPC port, write grpc://host:port."
            return ServingError(statuses.FAILED_PRECONDITION, text)
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        text = f"{self._where} must be reachable; {reason[:1].lower() + reason[1:]}."
        return ServingError(statuses.UNAVAILABLE, text)


def _send(connection, method, path, deadline: float, body) -> tuple[int, Any, bytes]:
    """Returns status, headers and body of the response.

    Raises:
        TimeoutError: it is not complete at `deadline`, a time of the monotonic clock.
        OSError, http.client.HTTPException: there is none.
    """
    connection.timeout = _seconds_until(deadline)
    if connection.sock is None:
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    headers = {} if body is None else {"Content-Type": "application/json"}
    with _ended_at(deadline, connection.sock):
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read()


@contextlib.contextmanager
def _ended_at(deadline: float, open_socket: socket.socket) -> Iterator[None]:
    """Ends all waiting for a socket at `deadline`; its own time-out is that of each single wait.

    Raises:
        TimeoutError: the deadline has passed.
    """
    open_socket.settimeout(_seconds_until(deadline))
    timer = threading.Timer(_seconds_until(deadline), _shut_down, [open_socket])
    timer.daemon = True
    timer.start()
    try:
        yield
    except (OSError, http.client.HTTPException):
        _seconds_until(deadline)
        raise
    finally:
        timer.cancel()
    _seconds_until(deadline)


def _shut_down(open_socket: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the server may have closed it
        open_socket.shutdown(socket.SHUT_RDWR)


def _seconds_until(deadline: float) -> float:
    """Returns the seconds that are left, or raises TimeoutError."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _split(scheme: str, address: str) -> urllib.parse.SplitResult:
    try:
        parts = urllib.parse.urlsplit(f"{scheme}://{address}")
        valid = parts.hostname and parts.port != 0 and not parts.query and not parts.username
    except ValueError:  # a port that is not a number
        valid = False
    if not valid:
        raise ValueError(
            f"the address of a server must be host:port, such as localhost:8501; got {address!r}."
        )
    return parts


def _seconds(retry_after: str | None) -> float | None:
    return float(retry_after) if retry_after and retry_after.isdecimal() else None


def _read_specs(tensors: Mapping[str, Any]) -> dict[str, TensorSpec]:
    return {name: _read_spec(tensor) for name, tensor in tensors.items()}


def _read_spec(tensor: Mapping[str, Any]) -> TensorSpec:
    """Reads a TensorInfo in the JSON of protocol buffers, where sizes are strings."""
    dtype = _DTYPES.get(tensor["dtype"], tensor["dtype"].removeprefix("DT_").lower())
    shape = tensor.get("tensor_shape", {})
    if shape.get("unknown_rank"):
        return TensorSpec(dtype, None)
    sizes = (int(dim.get("size", 0)) for dim in shape.get("dim", []))
    return TensorSpec(dtype, tuple(None if size < 0 else size for size in sizes))
