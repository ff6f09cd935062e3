# SPDX-License-Identifier: Apache-2.0
"""Runs compiled pipelines on this machine: the command of each step as a process of its own.

What an orchestrator would put into a command (parameters, paths of artifacts, addresses) is taken
from the compiled file alone. Nothing of the pipeline is imported.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import graphlib
import itertools
import json
import os
import pathlib
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping

import grpc
import yaml
from ml_metadata.metadata_store.pywrap.metadata_store_extension import metadata_store as serialized
from ml_metadata.proto import metadata_store_pb2

ROOT = pathlib.Path(__file__).parents[2]
_SECONDS = 600


def run_process(step: str, command: list[str], folder: pathlib.Path, **environment: str) -> None:
    """Runs the command of a container, in the working directory and with the PATH of the image."""
    result = subprocess.run(
        command,
        cwd=ROOT,  # WORKDIR of kubeflow/Dockerfile holds the same folders
        env={
            "HOME": str(folder),
            "PATH": f"{pathlib.Path(sys.executable).parent}:/usr/bin:/bin",
            "PYTHONPATH": str(ROOT),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=_SECONDS,
    )
    log = folder / f"{step}.log"
    log.write_text(result.stdout + result.stderr)
    assert result.returncode == 0, f"{step}: {log}\n{result.stderr[-4000:]}"


# --- Kubeflow Pipelines v2 and Vertex AI ---------------------------------------------------------


@dataclasses.dataclass
class PipelineJob:
    """Runs of a pipeline spec, and the artifacts that they share."""

    spec: dict
    folder: pathlib.Path
    artifacts: list[dict] = dataclasses.field(default_factory=list)
    _numbers: Iterator[int] = dataclasses.field(default_factory=itertools.count)

    @classmethod
    def read(cls, path: pathlib.Path, folder: pathlib.Path) -> PipelineJob:
        """Opens a JSON file (PipelineJob) or a YAML file (PipelineSpec, platform spec)."""
        document = next(yaml.safe_load_all(path.read_text()))
        return cls(document.get("pipelineSpec", document), folder)

    def run(self, **parameters: str) -> dict[str, dict]:
        """Runs every task, and returns {task: {output: artifact}}."""
        values = {
            name: parameter["defaultValue"]
            for name, parameter in self.spec["root"]["inputDefinitions"]["parameters"].items()
        }
        unknown = set(parameters) - set(values)
        assert not unknown, unknown
        run = _Run({**values, **parameters}, self.folder / f"job-{next(self._numbers)}", {}, {})
        for name, task in self._ordered_tasks():
            self._run_task(name, task, run)
        return run.outputs

    def resolve(self) -> dict[str, dict]:
        """Returns what the tasks that look up artifacts would find in a further run."""
        run = _Run({}, self.folder, {}, {})
        for name, task in self._ordered_tasks():
            if "resolver" in self._executor(task):
                self._run_task(name, task, run)
        return run.outputs

    def _ordered_tasks(self) -> list[tuple[str, dict]]:
        tasks = self.spec["root"]["dag"]["tasks"]
        order = graphlib.TopologicalSorter({name: _needs(task) for name, task in tasks.items()})
        return [(name, tasks[name]) for name in order.static_order()]

    def _executor(self, task: dict) -> dict:
        component = self.spec["components"][task["componentRef"]["name"]]
        return self.spec["deploymentSpec"]["executors"][component["executorLabel"]]

    def _run_task(self, name: str, task: dict, run: _Run) -> None:
        component = self.spec["components"][task["componentRef"]["name"]]
        executor = self._executor(task)
        inputs = run.inputs(task)
        if "resolver" in executor:
            run.outputs[name] = self._resolve(executor["resolver"], inputs)
            return
        folder = run.folder / name
        folder.mkdir(parents=True)
        message = self._executor_input(component, inputs, run, name)
        container = executor["container"]
        command = [*container["command"], *container["args"]]
        command = [json.dumps(message) if word == "{{$}}" else word for word in command]
        run_process(name, command, folder)
        self._collect(name, message, run)

    def _executor_input(self, component: dict, inputs: dict, run: _Run, name: str) -> dict:
        definitions = component.get("outputDefinitions", {})
        artifacts = {
            key: {
                "artifacts": [
                    {
                        "name": f"projects/1/artifacts/{next(self._numbers)}",
                        "type": output["artifactType"],
                        "uri": str(run.folder / name / key),
                    }
                ]
            }
            for key, output in definitions.get("artifacts", {}).items()
        }
        parameters = {
            key: {"outputFile": str(run.folder / name / f"{key}.txt")}
            for key in definitions.get("parameters", {})
        }
        output_file = str(run.folder / name / "executor_output.json")
        return {
            "inputs": inputs,
            "outputs": {
                "artifacts": artifacts,
                "parameters": parameters,
                "outputFile": output_file,
            },
        }

    def _collect(self, name: str, message: dict, run: _Run) -> None:
        found = json.loads(pathlib.Path(message["outputs"]["outputFile"]).read_text())
        run.values[name] = found.get("parameterValues", {})
        run.outputs[name] = {}
        for key, planned in message["outputs"]["artifacts"].items():
            written = found["artifacts"][key]["artifacts"][0]
            artifact = {**planned["artifacts"][0], "metadata": written.get("metadata", {})}
            self.artifacts.append(artifact)
            run.outputs[name][key] = [artifact]

    def _resolve(self, resolver: dict, inputs: dict) -> dict[str, list[dict]]:
        """Answers queries: comparisons of a field with a constant, joined by AND."""
        outputs = {}
        for key, query in resolver["outputArtifactQueries"].items():
            text = _insert(query["filter"], inputs)
            found = [] if text is None else [a for a in self.artifacts if _matches(a, text)]
            outputs[key] = found[-1:]
        return outputs


@dataclasses.dataclass
class _Run:
    """One run: the values of its parameters, its folder, and what its tasks have given so far."""

    parameters: Mapping[str, object]
    folder: pathlib.Path
    outputs: dict[str, dict[str, list[dict]]]
    values: dict[str, dict[str, object]]

    def inputs(self, task: dict) -> dict:
        given = task.get("inputs", {})
        return {
            "parameterValues": {
                name: self._value(source) for name, source in given.get("parameters", {}).items()
            },
            "artifacts": {
                name: {"artifacts": self._artifacts(source["taskOutputArtifact"])}
                for name, source in given.get("artifacts", {}).items()
            },
        }

    def _artifacts(self, source: dict) -> list[dict]:
        return self.outputs[source["producerTask"]][source["outputArtifactKey"]]

    def _value(self, source: dict) -> object:
        if "componentInputParameter" in source:
            return self.parameters[source["componentInputParameter"]]
        if "taskOutputParameter" in source:
            produced = source["taskOutputParameter"]
            return self.values[produced["producerTask"]][produced["outputParameterKey"]]
        return source["runtimeValue"]["constant"]


def _needs(task: dict) -> set[str]:
    inputs = task.get("inputs", {})
    sources = [
        source[kind]["producerTask"]
        for group in inputs.values()
        for source in group.values()
        for kind in ("taskOutputArtifact", "taskOutputParameter")
        if kind in source
    ]
    return {*task.get("dependentTasks", ()), *sources}


def _insert(text: str, inputs: dict) -> str | None:
    """Puts the metadata of inputs into a query; None where there is no such input."""
    for placeholder, key, field in re.findall(
        r"(\{\{\$\.inputs\.artifacts\['(\w+)'\]\.metadata\['(\w+)'\]\}\})", text
    ):
        artifacts = inputs["artifacts"][key]["artifacts"]
        if not artifacts:
            return None
        text = text.replace(placeholder, str(artifacts[0]["metadata"][field]))
    return text


def _matches(artifact: dict, query: str) -> bool:
    title = yaml.safe_load(artifact["type"]["instanceSchema"])["title"]
    facts = {"schema_title": title, "state": "LIVE", "name": artifact["name"]}
    facts |= {f"metadata.{k}.number_value": v for k, v in artifact["metadata"].items()}
    for condition in query.split(" AND "):
        field, _, value = condition.partition("=")
        if field not in facts or str(facts[field]) not in (value.strip('"'), f"{value}.0"):
            return False
    return True


# --- Kubeflow Pipelines v1 -----------------------------------------------------------------------


@dataclasses.dataclass
class Workflow:
    """Runs of a workflow of Argo, with one store of ML Metadata."""

    workflow: dict
    folder: pathlib.Path
    _numbers: Iterator[int] = dataclasses.field(default_factory=itertools.count)

    @classmethod
    def read(cls, path: pathlib.Path, folder: pathlib.Path) -> Workflow:
        return cls(yaml.safe_load(path.read_text()), folder)

    def run(self, **parameters: str) -> None:
        """Runs every task of the entry point; "_" in a name stands for "-"."""
        spec = self.workflow["spec"]
        values = {p["name"]: p["value"] for p in spec["arguments"]["parameters"]}
        for name, value in parameters.items():
            key = name if name in values else name.replace("_", "-")
            assert key in values, name
            values[key] = value
        templates = {template["name"]: template for template in spec["templates"]}
        tasks = {task["name"]: task for task in templates[spec["entrypoint"]]["dag"]["tasks"]}
        order = graphlib.TopologicalSorter(
            {name: task.get("dependencies", ()) for name, task in tasks.items()}
        )
        run_id = f"{self.workflow['metadata']['generateName']}{next(self._numbers)}"
        folder = self.folder / run_id
        folder.mkdir(parents=True)
        with metadata_server(self.folder / "mlmd.sqlite") as port:
            for name in order.static_order():
                template = templates[tasks[name]["template"]]
                self._run_task(template, tasks[name], values, run_id, port, folder)

    def _run_task(self, template, task, values, run_id: str, port: int, folder) -> None:
        given = {
            p["name"]: _substitute(p["value"], values)
            for p in task.get("arguments", {}).get("parameters", ())
        }
        declared = [p["name"] for p in template.get("inputs", {}).get("parameters", ())]
        inputs = {name: given[name] for name in declared}
        container = template["container"]
        command = [_substitute(w, inputs) for w in (*container["command"], *container["args"])]
        labels = {"metadata.labels['workflows.argoproj.io/workflow']": run_id}
        environment = {
            variable["name"]: labels.get(variable["valueFrom"]["fieldRef"]["fieldPath"], "")
            for variable in container["env"]
        }
        run_process(
            template["name"],
            command,
            folder,
            **environment,
            METADATA_GRPC_SERVICE_HOST="localhost",  # of the config map metadata-grpc-configmap
            METADATA_GRPC_SERVICE_PORT=str(port),
        )


def _substitute(text: str, inputs: Mapping[str, str]) -> str:
    return re.sub(r"\{\{inputs\.parameters\.([\w-]+)\}\}", lambda match: inputs[match[1]], text)


@contextlib.contextmanager
def metadata_server(path: pathlib.Path) -> Iterator[int]:
    """Serves ML Metadata by gRPC from an SQLite file, and yields the port."""
    config = metadata_store_pb2.ConnectionConfig()
    config.sqlite.filename_uri = os.fspath(path)
    options = metadata_store_pb2.MigrationOptions()
    store = serialized.CreateMetadataStore(config.SerializeToString(), options.SerializeToString())

    class Handler(grpc.GenericRpcHandler):
        def service(self, details):
            function = getattr(serialized, details.method.rpartition("/")[2])

            def call(request: bytes, context: grpc.ServicerContext) -> bytes:
                response, message, code = function(store, request)
                if code:
                    context.abort(_CODES[code], message)
                return response

            return grpc.unary_unary_rpc_method_handler(call)

    # One thread: the binding is not said to be safe for several.
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=1))
    server.add_generic_rpc_handlers([Handler()])
    port = server.add_insecure_port("localhost:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(grace=None).wait()


_CODES = {code.value[0]: code for code in grpc.StatusCode}
