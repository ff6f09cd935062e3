# SPDX-License-Identifier: Apache-2.0
"""What is sent is what `--dry-run` prints, and a wrong command sends nothing."""

import concurrent.futures
import http.server
import importlib.util
import json
import pathlib
import sys
import threading

import grpc
import pytest
import yaml
from click.testing import CliRunner
from google.cloud import aiplatform_v1

from mixer_tf import recipes
from pipeline.remote import vertex_service

ROOT = pathlib.Path(__file__).parents[2]
TOKEN = "hunter2-token"


@pytest.fixture(scope="module")
def submit():
    spec = importlib.util.spec_from_file_location("submit", ROOT / "kubeflow" / "submit.py")
    module = sys.modules["submit"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module.console, "silence_libraries", lambda: None)
        yield module


CONFIG = json.dumps({"recipe": recipes.get("digits").to_json()})
SPEC = {
    "pipelineInfo": {"name": "digits"},
    "root": {
        "dag": {
            "tasks": {
                "Trainer": {
                    "inputs": {
                        "parameters": {"custom_config": {"runtimeValue": {"constant": CONFIG}}}
                    }
                }
            }
        },
        "inputDefinitions": {
            "parameters": {
                name: {"parameterType": "STRING", "defaultValue": value}
                for name, value in (
                    ("source", "digits"),
                    ("overrides", ""),
                    ("pipeline_root", "gs://b/r"),
                )
            }
        },
    },
}
PLATFORM = {"platforms": {"kubernetes": {}}}
GRAPH = {"nodes": [{"pipelineNode": {"parameters": {"custom_config": {"stringValue": CONFIG}}}}]}
WORKFLOW = {
    "kind": "Workflow",
    "metadata": {"generateName": "digits-"},
    "spec": {
        "arguments": {
            "parameters": [
                {"name": "pipeline-root", "value": "gs://b/r"},
                {"name": "source", "value": "digits"},
                {"name": "overrides", "value": ""},
            ]
        },
        "templates": [
            {"name": "trainer", "container": {"args": ["--tfx_ir", json.dumps(GRAPH)]}},
        ],
    },
}


@pytest.fixture
def files(tmp_path) -> dict[str, str]:
    contents = {
        "kfp-v1": yaml.safe_dump(WORKFLOW),
        "kfp-v2": yaml.safe_dump_all([SPEC, PLATFORM]),
        "vertex": json.dumps({"pipelineSpec": SPEC, "labels": {"a": "b"}}),
    }
    for name, content in contents.items():
        (tmp_path / name).write_text(content)
    return {name: str(tmp_path / name) for name in contents}


@pytest.fixture
def server():
    """A server of Kubeflow Pipelines that keeps what it receives."""
    received = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            received.append((self.path, body, self.headers.get("Authorization")))
            answer = {
                "/apis/v1beta1/runs": {"run": {"id": "7"}},
                "/apis/v1beta1/jobs": {"id": "7"},
                "/apis/v2beta1/runs": {"run_id": "7"},
                "/apis/v2beta1/recurringruns": {"recurring_run_id": "7"},
            }[self.path]
            text = json.dumps(answer).encode()
            self.send_response(200 if body.get("name", "") != "refused" else 400)
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass

    http_server = http.server.HTTPServer(("localhost", 0), Handler)
    threading.Thread(target=http_server.serve_forever, daemon=True).start()
    http_server.received = received
    http_server.url = f"http://localhost:{http_server.server_port}"
    yield http_server
    http_server.shutdown()
    http_server.server_close()


def run(submit, *arguments: str):
    return CliRunner().invoke(submit.main, list(arguments))


CHANGES = ("--set", "training.epochs=3", "--source=folder:gs://x/y", "--root=gs://b/other")
VALUES = {"source": "folder:gs://x/y", "overrides": "training.epochs=3"}


@pytest.mark.parametrize("target", ["kfp-v1", "kfp-v2"])
def test_kubeflow_gets_what_the_dry_run_prints(submit, files, server, monkeypatch, target):
    monkeypatch.setenv("KFP_TOKEN", TOKEN)
    arguments = [files[target], f"--host={server.url}", "--name=my-run", *CHANGES]
    arguments += ["--experiment=e1", "--service-account=runner"]
    dry = run(submit, *arguments, "--dry-run")
    assert dry.exit_code == 0, dry.output
    assert TOKEN not in dry.output and not server.received
    request = json.loads(dry.output)

    sent = run(submit, *arguments)
    assert sent.exit_code == 0, sent.output
    assert sent.output.strip() == f"{server.url}/#/runs/details/7"
    ((path, body, authorization),) = server.received
    assert (server.url + path, body) == (request["url"], request["body"])
    assert authorization == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/moved", "redirects to http://localhost/login; use that host for --host, or log in"),
        ("/page", "must answer with the id of what it started; it answered '<html>'"),
        ("/list", 'must answer with the id of what it started; it answered \'{"runs": '),
    ],
)
def test_a_server_that_starts_nothing_is_an_error(submit, files, path, error):
    """A log-in page, or a proxy in front of the server; a list of runs is not a run."""
    answers = {"/moved": (302, b""), "/page": (200, b"<html>"), "/list": (200, b'{"runs": [{}]}')}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            status, body = answers[path]
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "http://localhost/login")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("localhost", 0), Handler) as http_server:
        threading.Thread(target=http_server.serve_forever, daemon=True).start()
        url = f"http://localhost:{http_server.server_port}{path}"
        result = run(submit, files["kfp-v2"], f"--host={url}")
        http_server.shutdown()
    assert result.exit_code == 1 and error in result.stderr, result.stderr


def test_a_password_in_the_host_is_refused(submit, files):
    host = f"--host=https://user:{TOKEN}@kfp.example.com"
    result = run(submit, files["kfp-v2"], host, "--dry-run")
    assert result.exit_code == 1 and "holds a user name and a password" in result.stderr
    assert TOKEN not in result.stdout + result.stderr


def test_v1_body_is_that_of_the_client_of_kfp(submit, files, server):
    """kfp's own model of a run accepts each field, and renders the same JSON."""
    kfp_server_api = pytest.importorskip("kfp_server_api")
    arguments = [files["kfp-v1"], f"--host={server.url}", "--name=my-run", *CHANGES]
    body = json.loads(run(submit, *arguments, "--dry-run").output)["body"]
    client = kfp_server_api.ApiClient()

    class Response:
        data = json.dumps(body)

    model = client.deserialize(Response, "ApiRun")
    assert client.sanitize_for_serialization(model) == body
    found = {p["name"]: p["value"] for p in body["pipeline_spec"]["parameters"]}
    assert found == {**VALUES, "pipeline-root": "gs://b/other"}
    assert json.loads(body["pipeline_spec"]["workflow_manifest"]) == WORKFLOW


def test_v2_body_has_both_documents_and_the_values(submit, files, server):
    arguments = [files["kfp-v2"], f"--host={server.url}", "--name=my-run", *CHANGES]
    body = json.loads(run(submit, *arguments, "--dry-run").output)["body"]
    assert body == {
        "display_name": "my-run",
        "pipeline_spec": {"pipeline_spec": SPEC, "platform_spec": PLATFORM},
        "runtime_config": {
            "parameters": {**VALUES, "pipeline_root": "gs://b/other"},
            "pipeline_root": "gs://b/other",
        },
    }


@pytest.mark.parametrize("target", ["kfp-v1", "kfp-v2"])
def test_a_schedule_of_kubeflow_is_what_the_dry_run_prints(submit, files, server, target):
    arguments = [files[target], f"--host={server.url}", "--name=my-run", *CHANGES]
    single = json.loads(run(submit, *arguments, "--dry-run").output)
    arguments.append("--schedule= 0 3 * *  MON")
    request = json.loads(run(submit, *arguments, "--dry-run").output)
    assert request["body"]["trigger"] == {"cron_schedule": {"cron": "0 0 3 * * MON"}}
    assert request["body"]["max_concurrency"] == "1"
    assert single["body"].items() <= request["body"].items()

    sent = run(submit, *arguments)
    assert sent.output.strip() == f"{server.url}/#/recurringrun/details/7"
    ((path, body, _),) = server.received
    assert (server.url + path, body) == (request["url"], request["body"])


def test_v1_schedule_is_that_of_the_client_of_kfp(submit, files):
    kfp_server_api = pytest.importorskip("kfp_server_api")
    arguments = [files["kfp-v1"], "--host=http://h", "--schedule=*/15 * * * *", "--dry-run"]
    body = json.loads(run(submit, *arguments).output)["body"]
    client = kfp_server_api.ApiClient()

    class Response:
        data = json.dumps(body)

    model = client.deserialize(Response, "ApiJob")
    assert client.sanitize_for_serialization(model) == body


@pytest.mark.parametrize("schedule", ["daily", "0 3 * *", "0 0 3 * * 1", "0 3 * * $(x)"])
def test_a_wrong_schedule_is_one_clear_line(submit, files, server, schedule):
    result = run(submit, files["kfp-v2"], f"--host={server.url}", f"--schedule={schedule}")
    assert result.exit_code == 1 and not server.received
    (line,) = result.stderr.strip().splitlines()
    assert "--schedule must be a cron expression of five fields" in line


@pytest.mark.parametrize("schedule", ["", "0 3 * * 1"])
def test_vertex_gets_what_the_dry_run_prints(submit, files, monkeypatch, schedule):
    """A local server that speaks Vertex AI's own messages, and Google's own client."""
    received = []
    request_type, answer = (
        (aiplatform_v1.CreateScheduleRequest, aiplatform_v1.Schedule(name="projects/1/7"))
        if schedule
        else (
            aiplatform_v1.CreatePipelineJobRequest,
            aiplatform_v1.PipelineJob(name="projects/1/7"),
        )
    )

    class Handler(grpc.GenericRpcHandler):
        def service(self, details):
            def call(data: bytes, _) -> bytes:
                received.append((details.method, request_type.deserialize(data)))
                return type(answer).serialize(answer)

            return grpc.unary_unary_rpc_method_handler(call)

    server = grpc.server(concurrent.futures.ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers([Handler()])
    channel = grpc.insecure_channel(f"localhost:{server.add_insecure_port('localhost:0')}")
    server.start()

    def client(_region: str, kind: type = aiplatform_v1.PipelineServiceClient):
        return kind(transport=kind.get_transport_class("grpc")(channel=channel))

    monkeypatch.setattr(vertex_service, "client", client)
    arguments = [files["vertex"], "--project=p", "--region=r", "--name=my-run", *CHANGES]
    arguments += ["--service-account=a@p", *([f"--schedule={schedule}"] if schedule else [])]
    dry = run(submit, *arguments, "--dry-run")
    assert dry.exit_code == 0, dry.output
    printed = json.loads(dry.output)
    sent = run(submit, *arguments)
    server.stop(None).wait()
    assert sent.output.strip() == "projects/1/7"
    ((method, request),) = received
    assert method == f"/{printed['method']}"
    assert vertex_service.to_json(request) == printed["request"]
    assert request.parent == "projects/p/locations/r"
    if schedule:
        assert (request.schedule.cron, request.schedule.max_concurrent_run_count) == (schedule, 1)
        request = request.schedule.create_pipeline_job_request
        assert not request.pipeline_job_id  # Vertex AI makes it up
    config = request.pipeline_job.runtime_config
    assert config.gcs_output_directory == "gs://b/other"
    assert dict(config.parameter_values) == {**VALUES, "pipeline_root": "gs://b/other"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--param", "sorce=digits"], "no run-time parameter 'sorce'. Did you mean source?"),
        (["--param", "source"], "--param must be NAME=VALUE"),
        (["--set", "training.epoch=3"], "Did you mean training.epochs?"),
        (["--set", "training.epochs=many"], "training.epochs must be an integer"),
        (["--source=folder:s3://user:hunter2@host/x"], "a URL holds a user name"),
        (["--source=folder:pets"], "--source must be reachable from the cluster"),
        (["--source=foldr:/pets"], "--source: a source must be one of"),
        (["--root=runs"], "--root must be a bucket, gs://… or s3://…"),
        (["--host="], "a file for kfp-v2 requires --host"),
        (["--name=refused"], "answered 400"),
    ],
)
def test_an_error_is_one_clear_line(submit, files, server, arguments, message):
    target = "kfp-v1" if "400" in message else "kfp-v2"
    result = run(submit, files[target], f"--host={server.url}", *arguments)
    assert result.exit_code == 1
    (line,) = result.stderr.strip().splitlines()
    assert message in line and "hunter2" not in line
    assert not server.received or "400" in message


@pytest.mark.parametrize(
    "text",
    [
        "a: 1",
        "{kind: Deployment, metadata: {name: pets}, spec: {replicas: 1}}",
        "{pipelineInfo: {name: other}, root: {dag: {tasks: {}}, inputDefinitions: {parameters: {"
        "rate: {defaultValue: 1}}}}}",
    ],
    ids=["no pipeline", "a manifest", "a pipeline of other code"],
)
def test_a_file_of_something_else_is_refused(submit, tmp_path, text):
    path = tmp_path / "other.yaml"
    path.write_text(text)
    result = run(submit, str(path), "--dry-run")
    assert "must be a compiled pipeline" in result.stderr
