# SPDX-License-Identifier: Apache-2.0
"""Starts and stops the development server: the model, both interfaces, and the look for versions.

For development and tests. It has no limits on clients, no access control, no TLS and no metrics;
production uses TensorFlow Serving, which reads the same folder and takes the same requests.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from concurrent import futures

import grpc
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from mixer_tf.serving.batching_parameters import BatchingParameters
from mixer_tf.serving.grpc_transport import MESSAGE_OPTIONS
from mixer_tf.serving.server import models
from mixer_tf.serving.server.batching import Batcher
from mixer_tf.serving.server.grpc_services import ModelService, PredictionService
from mixer_tf.serving.server.models import Model
from mixer_tf.serving.server.rest import RestServer
from mixer_tf.serving.server.service import Service

_GRPC_THREADS = 64
_GRACE_SECONDS = 2.0  # for requests that are running when the server ends


class ModelServer:
    """Serves one model until `stop`.

    Attributes:
        model: the served model.
        rest_port: port of the REST interface.
        grpc_port: port of the gRPC interface.
    """

    def __init__(
        self,
        model: str,
        *,
        name: str = "",
        host: str = "localhost",
        rest_port: int = 8501,
        grpc_port: int = 8500,
        batching: BatchingParameters | None = None,
        poll_seconds: float = 1.0,
        report: Callable[[str], None] = print,
    ):
        """Loads the model and starts to serve it.

        Args:
            model: as `locations.resolve_saved_model` takes it.
            name: name of the model in requests; that of the folder by default.
            host: name or address of the network interface.
            rest_port, grpc_port: 0 for any free port.
            batching: how concurrent requests become one batch; the defaults without it.
            poll_seconds: between two looks for new versions.
            report: gets a line for each version that is loaded or fails later.

        Raises:
            ValueError: the model does not load, or a port is not free.
        """
        folder = models.find(model)
        self.model = Model(folder, name or folder.name, report)
        self._batcher = Batcher(batching or BatchingParameters())
        service = Service(self.model, self._batcher)
        self._rest = _open_rest(host, rest_port, service)
        self.rest_port = self._rest.server_address[1]
        try:
            self._grpc, self.grpc_port = _open_grpc(host, grpc_port, service)
        except ValueError:
            self._rest.server_close()
            raise
        self._is_stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._rest.serve_forever, args=(0.1,), daemon=True),
            threading.Thread(target=self._poll, args=(poll_seconds, report), daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def wait(self) -> None:
        """Blocks until `stop` or a signal."""
        while not self._is_stopped.wait(3600):
            pass

    def stop(self) -> None:
        """Ends both interfaces; requests that are running have two seconds to be answered."""
        self._is_stopped.set()
        self._grpc.stop(_GRACE_SECONDS).wait()
        self._rest.shutdown()
        self._rest.wait_for_answers(_GRACE_SECONDS)
        self._rest.server_close()
        self._batcher.close()
        for thread in self._threads:
            thread.join(timeout=2)

    def __enter__(self) -> ModelServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _poll(self, seconds: float, report: Callable[[str], None]) -> None:
        while not self._is_stopped.wait(seconds):
            try:
                self.model.refresh()
            except Exception as error:  # such as a folder that cannot be read for a moment
                report(f"no look for new versions: {error}")


def _open_rest(host: str, port: int, service: Service) -> RestServer:
    try:
        return RestServer(host, port, service)
    except OSError as error:
        raise ValueError(_why_not_open("--rest-port", host, port, error)) from error


def _open_grpc(host: str, port: int, service: Service) -> tuple[grpc.Server, int]:
    pool = futures.ThreadPoolExecutor(_GRPC_THREADS)
    # Without this option, a second server on the same port would start and get half of the calls.
    server = grpc.server(pool, options=[*MESSAGE_OPTIONS, ("grpc.so_reuseport", 0)])
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        PredictionService(service), server
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(service), server)
    address = f"[{host}]" if ":" in host else host  # of IPv6
    try:
        opened = server.add_insecure_port(f"{address}:{port}")
    except RuntimeError as error:
        raise ValueError(_why_not_open("--grpc-port", host, port, error)) from error
    server.start()
    return server, opened


def _why_not_open(option: str, host: str, port: int, error: Exception) -> str:
    if not isinstance(error, OSError):  # gRPC does not say why
        reason = "it is in use or not permitted"
    else:
        is_used = error.errno == errno.EADDRINUSE
        reason = "it is in use" if is_used else error.strerror or str(error)
    return f"{option} must be a free port on {host}; got {port}: {reason}. Use 0 for any free port."
