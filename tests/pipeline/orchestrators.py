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
from collections.abc import Callable, Iterator, Mapping

import grpc
import yaml
from ml_metadata.metadata_store.pywrap.metadata_store_extension import metadata_store as serialized
from ml_metadata.proto import metadata_store_pb2

ROOT = pathlib.Path(__file__).parents[2]
_SECONDS = 1800


def run_process(step: str, command: list[str], folder: pathlib.Path, **environment: str) -> None:
    """Runs the command of a container, in the working directory and with the PATH of the image.

    Args:
        step: the name of the step.
        command: the command of its container.
        folder: the home of its user, where its output is stored.
        **environment: more environment variables; PYTHONPATH is in addition to that of the image.
    """
    log = folder / f"{step}.log"
    with log.open("w") as output:
        result = subprocess.run(
            command,
            cwd=ROOT,  # WORKDIR of kubeflow/Dockerfile holds the same folders
            env=_environment(folder, environment),
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=_SECONDS,
        )
    assert result.returncode == 0, f"{step}: {log}\n{log.read_text()[-4000:]}"


def _environment(folder: pathlib.Path, more: Mapping[str, str]) -> dict[str, str]:
    paths = [str(ROOT), *filter(None, [more.get("PYTHONPATH")])]
    return {
        "HOME": str(folder),
        "PATH": f"{pathlib.Path(sys.executable).parent}:/usr/bin:/bin",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        **more,
        "PYTHONPATH": os.pathsep.join(paths),
    }


class StepServer:
    """Takes the place of `run_process`; the processes have TFX imported already."""

    def __init__(self, folder: pathlib.Path):
        self._process = subprocess.Popen(
            [sys.executable, pathlib.Path(__file__).with_name("step_server.py")],
            env=_environment(folder, {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout.readline() == "ready\n"

    def run(self, step: str, command: list[str], folder: pathlib.Path, **environment: str) -> None:
        """See `run_process`; a process that takes too long is left to the test's own timeout."""
        log = folder / f"{step}.log"
        task = {"command": command, "folder": str(ROOT), "log": str(log)}
        task["environment"] = _environment(folder, environment)
        print(json.dumps(task), file=self._process.stdin, flush=True)
        code = self._process.stdout.readline().strip()
        assert code == "0", f"{step}: {log}\n{log.read_text()[-4000:]}"

    def stop(self) -> None:
        self._process.stdin.close()
        self._process.wait(timeout=60)


# --- Kubeflow Pipelines v2 and Vertex AI ---------------------------------------------------------


@dataclasses.dataclass
class PipelineJob:
    """Runs of a pipeline spec.

    Attributes:
        spec: the pipeline spec.
        folder: where each run has a folder.
        environment: step → environment variables that the platform gives to its container; such a
            step runs by `run_process`.
        common: environment variables of all steps.
        start: `run_process`, or `run` of a StepServer.
    """

    spec: dict
    folder: pathlib.Path
    environment: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)
    common: Mapping[str, str] = dataclasses.field(default_factory=dict)
    start: Callable[..., None] = run_process
    _numbers: Iterator[int] = dataclasses.field(default_factory=itertools.count)

    @classmethod
    def read(
        cls,
        path: pathlib.Path,
        folder: pathlib.Path,
        **options,
    ) -> PipelineJob:
        """Opens a JSON file (PipelineJob) or a YAML file (PipelineSpec, platform spec)."""
        document = next(yaml.safe_load_all(path.read_text()))
        return cls(document.get("pipelineSpec", document), folder, **options)

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
        folder = run.folder / name
        folder.mkdir(parents=True)
        message = self._executor_input(component, inputs, run, name)
        container = executor["container"]
        command = [*container["command"], *container["args"]]
        command = [json.dumps(message) if word == "{{$}}" else word for word in command]
        own = self.environment.get(name, {})
        (run_process if own else self.start)(name, command, folder, **self.common, **own)
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
            run.outputs[name][key] = [artifact]


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


# --- Kubeflow Pipelines v1 -----------------------------------------------------------------------


@dataclasses.dataclass
class Workflow:
    """Runs of a workflow of Argo, with one store of ML Metadata.

    Attributes:
        workflow: the workflow.
        folder: where each run has a folder, and the store.
        environment: step, in lower case → environment variables that the cluster gives to its pod;
            such a step runs by `run_process`.
        common: environment variables of all steps.
        start: `run_process`, or `run` of a StepServer.
    """

    workflow: dict
    folder: pathlib.Path
    environment: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)
    common: Mapping[str, str] = dataclasses.field(default_factory=dict)
    start: Callable[..., None] = run_process
    _numbers: Iterator[int] = dataclasses.field(default_factory=itertools.count)

    @classmethod
    def read(
        cls,
        path: pathlib.Path,
        folder: pathlib.Path,
        **options,
    ) -> Workflow:
        return cls(yaml.safe_load(path.read_text()), folder, **options)

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
        own = self.environment.get(template["name"], {})
        (run_process if own else self.start)(
            template["name"],
            command,
            folder,
            **{**self.common, **environment, **own},
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
