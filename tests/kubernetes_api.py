# SPDX-License-Identifier: Apache-2.0
"""The part of Kubernetes' API by which a step starts a model server beside its own pod.

The pod that is created is a server of mixer_tf on an address of its own, as that of `mixer serve`.
"""

from __future__ import annotations

import contextlib
import http.server
import ipaddress
import json
import pathlib
import random
import re
import ssl
import threading
from collections.abc import Iterator

from certificates import make_certificate

from mixer_tf.serving.server.model_server import ModelServer

NAMESPACE, POD, CLAIM = "kubeflow", "infravalidator-1", "runs"
_GRPC_PORT = 8500  # of the image tensorflow/serving
_TOKEN = "token-of-the-service-account"
# Kubernetes mounts these files into every pod, where its Python client looks for them.
_SITE = """
import kubernetes.config.incluster_config as config
config.SERVICE_TOKEN_FILENAME = {token!r}
config.SERVICE_CERT_FILENAME = {certificate!r}
"""


class FakeKubernetes:
    """Pods in a namespace; the first is that of the step, with a volume at a path."""

    def __init__(self, volume: pathlib.Path):
        mount = {"name": "data", "mountPath": str(volume)}
        claim = {"name": "data", "persistentVolumeClaim": {"claimName": CLAIM}}
        self.pods = {
            POD: {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": POD, "uid": "1"},
                "spec": {
                    "containers": [{"name": "main", "volumeMounts": [mount]}],
                    "volumes": [claim],
                },
            }
        }
        self.created: list[dict] = []
        self._servers: dict[str, ModelServer] = {}

    def answer(self, method: str, path: str, body: dict | None) -> tuple[int, dict]:
        """Returns the status and the body of the answer."""
        prefix = f"/api/v1/namespaces/{NAMESPACE}/"
        kind, _, name = path.removeprefix(prefix).partition("/")
        if method == "GET" and (kind, name) == ("persistentvolumeclaims", CLAIM):
            return 200, {"metadata": {"name": name}, "spec": {"accessModes": ["ReadWriteMany"]}}
        if method == "POST" and kind == "pods":
            return 201, self._create(body)
        if kind == "pods" and name in self.pods and method == "GET":
            return 200, self.pods[name]
        if kind == "pods" and name in self._servers and method == "DELETE":
            self._servers.pop(name).stop()
            return 200, self.pods.pop(name)
        return 404, {"kind": "Status", "code": 404}

    def _create(self, pod: dict) -> dict:
        self.created.append(pod)
        name = f"{pod['metadata']['generateName']}{len(self.created)}"
        (container,) = pod["spec"]["containers"]
        variables = {each["name"]: each["value"] for each in container["env"]}
        # Addresses of this machine alone; each has all ports.
        address = str(ipaddress.ip_address("127.1.0.1") + random.randrange(1 << 16))
        self._servers[name] = ModelServer(
            f"{variables['MODEL_BASE_PATH']}/{variables['MODEL_NAME']}",
            name=variables["MODEL_NAME"],
            host=address,
            rest_port=0,
            grpc_port=_GRPC_PORT,
        )
        status = {"phase": "Running", "podIP": address}
        created = {**pod, "metadata": {**pod["metadata"], "name": name}, "status": status}
        self.pods[name] = created
        return created


@contextlib.contextmanager
def reachable_kubernetes(folder: pathlib.Path, volume: pathlib.Path):
    """Yields a server, and the environment in which a process takes itself for a pod there.

    Args:
        folder: a new folder for the files that Kubernetes mounts.
        volume: a folder of this machine, which is the path of a volume in the pod.
    """
    folder.mkdir(parents=True)
    certificate = make_certificate(folder, "127.0.0.1")
    token = folder / "token"
    token.write_text(_TOKEN)
    names = {"token": str(token), "certificate": str(certificate.certificate)}
    (folder / "sitecustomize.py").write_text(_SITE.format(**names))
    cluster = FakeKubernetes(volume)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    with _serve(cluster, context) as port:
        yield (
            cluster,
            {
                "KUBERNETES_SERVICE_HOST": "127.0.0.1",
                "KUBERNETES_SERVICE_PORT": str(port),
                "KFP_POD_NAME": POD,
                "KFP_NAMESPACE": NAMESPACE,
                "PYTHONPATH": str(folder),
            },
        )


@contextlib.contextmanager
def _serve(cluster: FakeKubernetes, context: ssl.SSLContext) -> Iterator[int]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self):
            assert re.fullmatch(f"bearer {_TOKEN}", self.headers["Authorization"], re.IGNORECASE)
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            status, answer = cluster.answer(self.command, self.path, body)
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = _answer

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
