# SPDX-License-Identifier: Apache-2.0
"""A local server that speaks the messages of Vertex AI, and how another process reaches it."""

from __future__ import annotations

import concurrent.futures
import contextlib
import http.server
import json
import pathlib
import select
import socket
import threading
from collections.abc import Callable, Iterator

import grpc
from certificates import Certificate, make_certificate
from google.cloud import aiplatform_v1 as vertex
from google.longrunning import operations_pb2


class FakeVertex(grpc.GenericRpcHandler):
    """A registry and endpoints, in memory; every long operation is done at once.

    The container of a custom job is run by a function that takes its command and its environment,
    and raises an error if it fails.
    """

    def __init__(
        self,
        parent: str,
        certificate: Certificate | None = None,
        run_container: Callable[[list[str], dict[str, str]], None] | None = None,
    ):
        self.parent = parent
        self._certificate = certificate
        self._run_container = run_container
        self.custom_jobs: list[vertex.CustomJob] = []
        self.models: dict[str, list[vertex.Model]] = {}
        self.endpoints: list[vertex.Endpoint] = []
        self.calls: list[str] = []
        self.authorizations: set[str] = set()
        self.num_deployments = 0

    def service(self, details):
        name = details.method.rpartition("/")[2]
        kind = getattr(vertex, f"{name}Request")

        metadata = dict(details.invocation_metadata)

        def call(data: bytes, _) -> bytes:
            self.calls.append(name)
            self.authorizations.add(metadata.get("authorization", ""))
            answer = getattr(self, name)(kind.deserialize(data))
            return type(answer).serialize(answer) if hasattr(type(answer), "pb") else answer

        return grpc.unary_unary_rpc_method_handler(call)

    @contextlib.contextmanager
    def serve(self) -> Iterator[int]:
        """Yields the port, over TLS with a certificate."""
        server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
        server.add_generic_rpc_handlers([self])
        if self._certificate:
            files = (self._certificate.key, self._certificate.certificate)
            pair = tuple(file.read_bytes() for file in files)
            port = server.add_secure_port("localhost:0", grpc.ssl_server_credentials([pair]))
        else:
            port = server.add_insecure_port("localhost:0")
        server.start()
        try:
            yield port
        finally:
            server.stop(None).wait()

    def ListModels(self, request):
        assert request.filter == 'display_name="pets-model"'
        return vertex.ListModelsResponse(models=[versions[-1] for versions in self.models.values()])

    def ListModelVersions(self, request):
        return vertex.ListModelVersionsResponse(models=self.models[request.name])

    def UploadModel(self, request):
        assert request.parent == self.parent
        name = request.parent_model or f"{self.parent}/models/{len(self.models) + 1}"
        versions = self.models.setdefault(name, [])
        model = request.model
        model.name, model.version_id = name, str(len(versions) + 1)
        versions.append(model)
        return done(vertex.UploadModelResponse(model=name, model_version_id=model.version_id))

    def ListEndpoints(self, request):
        assert request.filter == 'display_name="pets"'
        return vertex.ListEndpointsResponse(endpoints=self.endpoints)

    def CreateEndpoint(self, request):
        endpoint = request.endpoint
        endpoint.name = f"{request.parent}/endpoints/1"
        self.endpoints.append(endpoint)
        return done(endpoint)

    def DeployModel(self, request):
        (endpoint,) = self.endpoints
        assert request.endpoint == endpoint.name
        deployed = request.deployed_model
        self.num_deployments += 1
        deployed.id = str(self.num_deployments)
        deployed.model, _, deployed.model_version_id = deployed.model.partition("@")
        endpoint.deployed_models.append(deployed)
        split = dict(request.traffic_split)
        endpoint.traffic_split = {deployed.id: split.pop("0"), **split}
        assert sum(endpoint.traffic_split.values()) == 100
        return done(vertex.DeployModelResponse(deployed_model=deployed))

    def CreateCustomJob(self, request):
        assert request.parent == self.parent
        job = request.custom_job
        job.name = f"{self.parent}/customJobs/{len(self.custom_jobs) + 1}"
        job.state = vertex.JobState.JOB_STATE_RUNNING
        self.custom_jobs.append(job)
        threading.Thread(target=self._run_job, args=(job,), daemon=True).start()
        return job

    def _run_job(self, job: vertex.CustomJob) -> None:
        (pool,) = job.job_spec.worker_pool_specs
        container = pool.container_spec
        try:
            command = [*container.command, *container.args]
            self._run_container(command, {each.name: each.value for each in container.env})
            job.state = vertex.JobState.JOB_STATE_SUCCEEDED
        except AssertionError as error:
            job.error = {"message": str(error)}
            job.state = vertex.JobState.JOB_STATE_FAILED

    def GetCustomJob(self, request):
        return next(job for job in self.custom_jobs if job.name == request.name)

    def GetEndpoint(self, request):
        (endpoint,) = self.endpoints
        assert request.name == endpoint.name
        return endpoint

    def UndeployModel(self, request):
        (endpoint,) = self.endpoints
        split = dict(endpoint.traffic_split)
        assert request.endpoint == endpoint.name and not split.pop(request.deployed_model_id, 0)
        endpoint.traffic_split = split
        endpoint.deployed_models = [
            each for each in endpoint.deployed_models if each.id != request.deployed_model_id
        ]
        return done(vertex.UndeployModelResponse())


def done(message) -> bytes:
    operation = operations_pb2.Operation(name="o", done=True)
    operation.response.Pack(type(message).pb(message))
    return operation.SerializeToString()


@contextlib.contextmanager
def reachable_vertex(folder: pathlib.Path, project: str, region: str, run_container=None):
    """Yields a server, and the environment in which Google's clients take it for the real one.

    They connect to the host of Vertex AI through a proxy of this machine, trust its certificate,
    and sign their requests with the key of a service account.

    Args:
        folder: a new folder for the files of the environment.
        project, region: those of the clients.
        run_container: see `FakeVertex`.
    """
    folder.mkdir(parents=True)
    host = f"{region}-aiplatform.googleapis.com"
    certificate = make_certificate(folder, host)
    account = {
        "type": "service_account",
        "client_email": f"pipelines@{project}.iam.gserviceaccount.com",
        "private_key": certificate.key.read_text(),
        "private_key_id": "1",
        "project_id": project,
        "token_uri": "http://localhost:1/unused",
    }
    (folder / "account.json").write_text(json.dumps(account))
    parent = f"projects/{project}/locations/{region}"
    vertex_server = FakeVertex(parent, certificate, run_container)
    with vertex_server.serve() as port, _proxy(f"{host}:443", port) as proxy:
        yield (
            vertex_server,
            {
                "https_proxy": f"http://127.0.0.1:{proxy}",
                "no_proxy": "localhost",  # where ML Metadata is
                "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(certificate.certificate),
                "GOOGLE_APPLICATION_CREDENTIALS": str(folder / "account.json"),
            },
        )


@contextlib.contextmanager
def _proxy(address: str, port: int) -> Iterator[int]:
    """Yields the port of an HTTP proxy that forwards CONNECT to one address to a local port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_CONNECT(self):
            if self.path != address:
                self.send_error(403)
                return
            self.send_response(200)
            self.end_headers()
            with socket.create_connection(("localhost", port)) as there:
                _forward(self.connection, there)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def _forward(one: socket.socket, other: socket.socket) -> None:
    """Copies bytes in both directions until one side ends."""
    ends = {one: other, other: one}
    while True:
        for source in select.select([*ends], [], [])[0]:
            data = source.recv(1 << 16)
            if not data:
                return
            ends[source].sendall(data)
