# SPDX-License-Identifier: Apache-2.0
"""The compiled files: offline, complete, valid, and without a path or secret of this machine."""

import getpass
import json
import os
import pathlib
import re
import socket

import pytest
import yaml
from click.testing import CliRunner
from google.protobuf import json_format
from jsonschema import ValidationError
from kfp.pipeline_spec import pipeline_spec_pb2
from schemas import needs_schemas, require_valid
from tfx.orchestration.kubeflow.v2.compiler_utils import TITLE_TO_CLASS_PATH
from tfx.utils import import_utils

from mixer_tf import storage
from mixer_tf.datasets.sources import opening
from pipeline import kubeflow_runner
from pipeline.remote import compilation  # noqa: F401  # before sockets are forbidden

ROOT = pathlib.Path(__file__).parents[2]
STEPS = {
    *("DataFingerprint", "ImageExampleGen", "Deduplicator", "Preprocessor", "StatisticsGen"),
    "ImageStatistics",
    *("ImportSchemaGen", "ExampleValidator", "DriftValidator"),
    *("Trainer", "Evaluator", "ModelChecker", "Pusher", "RunReport"),
}
RESOLVERS = {"resolver", "referenceresolver"}
V2_STEPS = {*STEPS, "LastPushedModel"}  # in place of the Resolvers
BEAM, GPU = "registry.example/mixer-tf:beam", "registry.example/mixer-tf:train-gpu"
ARGUMENTS = [
    *("--source=folder:gs://data/pets", "--root=gs://data/runs", f"--image={BEAM}"),
    *(f"--train-image={GPU}", "--recipe=photos", "--beam=--runner=DirectRunner"),
    *("--checkpoint-minutes=20", "--keep-checkpoints=3"),
    *("--step", "Trainer.cpu=16", "--step", "Trainer.memory=64Gi"),
    *("--step", "Deduplicator.retries=5", "--step", "Evaluator.cache=false"),
    *("--step", "Deduplicator.beam=--direct_num_workers=2", "--step", "Trainer.timeout=86400"),
]
MINUTES = {"name": "MIXER_TF_CHECKPOINT_MINUTES", "value": "20.0"}
KEEP = {"name": "MIXER_TF_KEEP_CHECKPOINTS", "value": "3"}
KUBERNETES = [
    *("--step", "Trainer.accelerator=nvidia.com/gpu:2"),
    *("--step", "Trainer.node_selector=cloud.google.com/gke-accelerator=nvidia-l4"),
    "--volume=data:/mnt/data",
]
TARGETS = {
    "kfp-v1": [*KUBERNETES, "--secret=s3"],
    "kfp-v2": [*KUBERNETES, "--secret=s3/AWS_SECRET_ACCESS_KEY"],
    "vertex": ["--step", "Trainer.accelerator=NVIDIA_L4:2"],
}


def _forbidden(*_, **__):
    raise AssertionError("compiling must open nothing")


def compile_file(target: str, path: pathlib.Path, *arguments: str) -> str:
    """The console output of the command; nothing can be opened meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "socket", _forbidden)
        patch.setattr(socket, "getaddrinfo", _forbidden)
        patch.setattr(storage, "gfile", _forbidden)
        patch.setattr(opening, "open_source", _forbidden)
        patch.setattr(kubeflow_runner.console, "silence_libraries", lambda: None)
        patch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2-of-the-environment")
        result = CliRunner().invoke(
            kubeflow_runner.main, [f"--target={target}", f"--output={path}", *arguments]
        )
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, pathlib.Path]:
    folder = tmp_path_factory.mktemp("compiled")
    paths = {target: folder / f"{target}.yaml" for target in TARGETS}
    for target, more in TARGETS.items():
        compile_file(target, paths[target], *ARGUMENTS, *more)
    return paths


@pytest.fixture(scope="module")
def v1(files) -> dict:
    return yaml.safe_load(files["kfp-v1"].read_text())


@pytest.fixture(scope="module")
def v2(files) -> tuple[dict, dict]:
    return tuple(yaml.safe_load_all(files["kfp-v2"].read_text()))


@pytest.fixture(scope="module")
def vertex(files) -> dict:
    return json.loads(files["vertex"].read_text())


@pytest.mark.parametrize("target", TARGETS)
def test_no_path_user_or_secret_of_this_machine_is_in_the_file(files, target):
    text = files[target].read_text()
    machine = {str(ROOT), os.path.expanduser("~/"), "hunter2"}
    if getpass.getuser() != "root":  # the name of a field as well
        machine.add(getpass.getuser())
    assert not [word for word in machine if word in text]


@pytest.mark.parametrize("target", TARGETS)
def test_the_same_command_writes_the_same_file(files, target, tmp_path):
    compile_file(target, tmp_path / "again", *ARGUMENTS, *TARGETS[target])
    assert (tmp_path / "again").read_text() == files[target].read_text()


# --- Kubeflow Pipelines v1 -----------------------------------------------------------------------


def test_v1_has_every_step_with_its_image_and_resources(v1):
    templates = {template["name"]: template for template in v1["spec"]["templates"]}
    assert {step.lower() for step in STEPS} | RESOLVERS == {
        name for name in templates if name != v1["spec"]["entrypoint"]
    }
    trainer = templates["trainer"]
    assert trainer["container"]["image"] == GPU
    assert trainer["container"]["resources"]["limits"] == {
        "cpu": "16",
        "memory": "64Gi",
        "nvidia.com/gpu": "2",
    }
    assert MINUTES in trainer["container"]["env"] and KEEP in trainer["container"]["env"]
    assert MINUTES not in templates["evaluator"]["container"].get("env", [])
    graph = trainer["container"]["args"][trainer["container"]["args"].index("--tfx_ir") + 1]
    assert MINUTES["name"] not in graph  # on which the key of the cache depends
    assert trainer["nodeSelector"] == {"cloud.google.com/gke-accelerator": "nvidia-l4"}
    assert trainer["activeDeadlineSeconds"] == 86400
    assert templates["deduplicator"]["retryStrategy"]["limit"] == 5
    assert templates["deduplicator"]["container"]["image"] == BEAM
    for step in STEPS:
        secrets = templates[step.lower()]["container"]["envFrom"]
        assert {"secretRef": {"name": "s3"}} in secrets
        mounts = templates[step.lower()]["container"]["volumeMounts"]
        assert mounts == [{"mountPath": "/mnt/data", "name": "data"}]
        claim = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
        assert templates[step.lower()]["volumes"] == [claim]
    assert v1["spec"]["securityContext"] == {"fsGroup": 10001}  # who may write there


def _ir(v1: dict, step: str) -> dict:
    (template,) = [t for t in v1["spec"]["templates"] if t["name"] == step.lower()]
    arguments = template["container"]["args"]
    return json.loads(arguments[arguments.index("--tfx_ir") + 1])


def test_v1_caches_each_step_as_asked(v1):
    def is_cached(step: str) -> bool:
        node = _ir(v1, step)["nodes"][0]["pipelineNode"]
        return node["executionOptions"]["cachingOptions"].get("enableCache", False)

    cached = {step: is_cached(step) for step in STEPS}
    assert [step for step, value in cached.items() if not value] == [
        step for step in cached if step in ("Evaluator", "Pusher")
    ]


def test_v1_gives_beam_options_to_their_steps(v1):
    def beam(step: str) -> list[str]:
        spec = _ir(v1, step)["deploymentConfig"]["executorSpecs"][step]
        return spec.get("beamPipelineArgs", [])

    assert beam("ImageExampleGen") == ["--runner=DirectRunner"]
    assert beam("Deduplicator") == ["--runner=DirectRunner", "--direct_num_workers=2"]
    assert beam("Pusher") == []


@needs_schemas
def test_v1_is_valid_for_the_schema_of_argo_workflows(v1):
    require_valid(v1, "argo_workflow")
    wrong = json.loads(json.dumps(v1))
    wrong["spec"]["templates"][0]["retryStrateggy"] = {"limit": 1}
    with pytest.raises(ValidationError, match="retryStrateggy"):
        require_valid(wrong, "argo_workflow")
    wrong = json.loads(json.dumps(v1))
    wrong["spec"]["arguments"]["parameters"][0]["name"] = 1
    with pytest.raises(ValidationError, match="1 is not of type 'string'"):
        require_valid(wrong, "argo_workflow")


def test_v1_is_a_workflow_that_argo_can_resolve(v1):
    """What a schema cannot ask for: every name that is used is there."""
    assert (v1["apiVersion"], v1["kind"]) == ("argoproj.io/v1alpha1", "Workflow")
    spec = v1["spec"]
    templates = {template["name"]: template for template in spec["templates"]}
    given = {parameter["name"] for parameter in spec["arguments"]["parameters"]}
    tasks = {task["name"]: task for task in templates[spec["entrypoint"]]["dag"]["tasks"]}
    for name, task in tasks.items():
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", name)
        assert set(task.get("dependencies", ())) <= set(tasks)
        inputs = {p["name"]: p["value"] for p in task.get("arguments", {}).get("parameters", ())}
        template = templates[task["template"]]
        declared = {p["name"] for p in template.get("inputs", {}).get("parameters", ())}
        assert declared == set(inputs)
        assert {
            v.removeprefix("{{inputs.parameters.").rstrip("}") for v in inputs.values()
        } <= given
        container = template["container"]
        used = re.findall(r"\{\{inputs\.parameters\.([\w-]+)\}\}", " ".join(container["args"]))
        assert set(used) == declared
        assert all(isinstance(word, str) for word in (*container["command"], *container["args"]))
        for artifact in template["outputs"]["artifacts"]:
            assert artifact["path"].startswith("/tmp/")  # all that a user other than root may write


@pytest.mark.parametrize("target", ["kfp-v1", "kfp-v2", "vertex"])
def test_parameters_have_the_values_of_the_command_as_defaults(files, target):
    document = next(yaml.safe_load_all(files[target].read_text()))
    if target == "kfp-v1":
        found = {p["name"]: p["value"] for p in document["spec"]["arguments"]["parameters"]}
    else:
        declared = document.get("pipelineSpec", document)["root"]["inputDefinitions"]["parameters"]
        found = {name: parameter["defaultValue"] for name, parameter in declared.items()}
    root = "pipeline-root" if target == "kfp-v1" else "pipeline_root"
    assert found == {
        "source": "folder:gs://data/pets",
        "data_dir": "",
        "overrides": "",
        "serving_dir": "serving",
        root: "gs://data/runs",
    }


# --- Kubeflow Pipelines v2 and Vertex AI ---------------------------------------------------------


def test_v2_is_valid_for_kfp_pipeline_spec(v2, vertex):
    json_format.ParseDict(v2[0], pipeline_spec_pb2.PipelineSpec())
    json_format.ParseDict(vertex, pipeline_spec_pb2.PipelineJob())
    for spec in (v2[0], vertex["pipelineSpec"]):
        assert spec["schemaVersion"] == "2.1.0"
        deployment = pipeline_spec_pb2.PipelineDeploymentConfig()
        json_format.ParseDict(spec["deploymentSpec"], deployment)
        tasks = spec["root"]["dag"]["tasks"]
        for task in tasks.values():
            component = spec["components"][task["componentRef"]["name"]]
            assert component["executorLabel"] in deployment.executors
            assert set(task.get("dependentTasks", ())) <= set(tasks)
            declared = component.get("inputDefinitions", {})
            for kind in ("parameters", "artifacts"):
                given = set(task.get("inputs", {}).get(kind, {}))
                assert given == set(declared.get(kind, {}))
            for parameter in task.get("inputs", {}).get("parameters", {}).values():
                if "taskOutputParameter" in parameter:
                    source = parameter["taskOutputParameter"]
                    producer = spec["components"][source["producerTask"]]
                    outputs = producer["outputDefinitions"]["parameters"]
                    assert source["outputParameterKey"] in outputs


def test_v2_has_every_step_with_its_image_and_resources(v2, vertex):
    for spec, accelerator in ((v2[0], "nvidia.com/gpu"), (vertex["pipelineSpec"], "NVIDIA_L4")):
        executors = spec["deploymentSpec"]["executors"]
        containers = {n.removesuffix("_executor"): e.get("container") for n, e in executors.items()}
        assert {step for step, container in containers.items() if container} == V2_STEPS
        trainer = containers["Trainer"]
        assert trainer["image"] == GPU
        assert trainer["resources"] == {
            "cpuLimit": 16.0,
            "memoryLimit": pytest.approx(68.719, abs=1e-3),
            "accelerator": {"type": accelerator, "count": "2"},
        }
        assert trainer["env"] == [MINUTES, KEEP] and "env" not in containers["Evaluator"]
        assert trainer["command"][:2] == ["timeout", "86400"]
        assert containers["Deduplicator"]["image"] == BEAM
        assert containers["Deduplicator"]["args"][-2:] == [
            "--runner=DirectRunner",
            "--direct_num_workers=2",
        ]
        tasks = spec["root"]["dag"]["tasks"]
        assert tasks["Deduplicator"]["retryPolicy"] == {"maxRetryCount": 5}
        not_cached = {step for step in V2_STEPS if "cachingOptions" not in tasks[step]}
        reading = {"DataFingerprint", "DriftValidator", "LastPushedModel"}  # what is not an input
        assert not_cached == {*reading, "Evaluator", "Pusher"}


def test_every_class_that_a_container_imports_exists(v2):
    spec, _ = v2
    for executor in spec["deploymentSpec"]["executors"].values():
        arguments = executor["container"]["args"]
        path = arguments[arguments.index("--executor_class_path") + 1]
        assert import_utils.import_class_by_path(path)
    titles = {
        yaml.safe_load(artifact["artifactType"]["instanceSchema"])["title"]
        for component in spec["components"].values()
        for artifact in component.get("outputDefinitions", {}).get("artifacts", {}).values()
    }
    assert {"components.DeduplicationReport", "components.QuarantineReport"} < titles
    for title in titles:
        assert import_utils.import_class_by_path(TITLE_TO_CLASS_PATH.get(title, title))


def test_v2_and_vertex_find_what_earlier_runs_left_below_the_root(v2, vertex):
    """Resolvers are not implemented there, or find the artifacts of all pipelines of a project."""
    for spec in (v2[0], vertex["pipelineSpec"]):
        executors = spec["deploymentSpec"]["executors"]
        assert not [name for name, executor in executors.items() if "resolver" in executor]
        tasks = spec["root"]["dag"]["tasks"]
        root = {"componentInputParameter": "pipeline_root"}
        earlier = tasks["LastPushedModel"]["inputs"]["parameters"]
        pushed = {"componentInputParameter": "serving_dir"}
        assert earlier == {"root": root, "push_destination": pushed}
        drift = tasks["DriftValidator"]["inputs"]
        folder = {"runtimeValue": {"constant": "reference_statistics"}}
        assert drift["parameters"].items() >= {"root": root, "reference_dir": folder}.items()
        assert set(drift["artifacts"]) == {"statistics", "schema"}
        baseline = tasks["Evaluator"]["inputs"]["artifacts"]["baseline_model"]
        assert baseline["taskOutputArtifact"]["producerTask"] == "LastPushedModel"


def test_a_warm_start_of_v2_and_vertex_is_from_the_last_pushed_model(tmp_path):
    arguments = ["--source=digits", "--root=gs://b/r", "--image=i:1", "--warm-start"]
    for target in ("kfp-v2", "vertex"):
        compile_file(target, tmp_path / target, *arguments)
        document = next(yaml.safe_load_all((tmp_path / target).read_text()))
        tasks = document.get("pipelineSpec", document)["root"]["dag"]["tasks"]
        base = tasks["Trainer"]["inputs"]["artifacts"]["base_model"]["taskOutputArtifact"]
        assert base == {"producerTask": "LastPushedModel", "outputArtifactKey": "model"}


def test_v2_has_what_only_kubernetes_understands_in_a_second_document(v2):
    executors = v2[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    secret = {
        "secretName": "s3",
        "keyToEnv": [
            {"secretKey": "AWS_SECRET_ACCESS_KEY", "envVar": "AWS_SECRET_ACCESS_KEY"},
        ],
    }
    volume = {"constant": "data", "mountPath": "/mnt/data"}
    assert executors["Trainer_executor"] == {
        "nodeSelector": {"labels": {"cloud.google.com/gke-accelerator": "nvidia-l4"}},
        "secretAsEnv": [secret],
        "pvcMount": [volume],
    }
    assert executors["Pusher_executor"] == {"secretAsEnv": [secret], "pvcMount": [volume]}


def test_vertex_writes_below_the_root(vertex):
    assert vertex["runtimeConfig"]["gcsOutputDirectory"] == "gs://data/runs"
    assert vertex["runtimeConfig"]["parameterValues"]["pipeline_root"] == "gs://data/runs"


# --- The command ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--source=digits"], "--root must be given"),
        (["--source=digits", "--root=runs"], "--root must be a bucket, gs://… or s3://…"),
        (["--source=s3://u:hunter2@h/x", "--root=gs://b/r"], "source must be without user name"),
        (
            ["--source=folder:s3://u:hunter2@h/x", "--root=gs://b/r"],
            "source must be without user name",
        ),
        (["--root=gs://b/r", "--beam=--s3_secret_access_key=hunter2"], "would store a secret"),
        (["--root=gs://b/r", "--beam=--s3_secret_access_key hunter2"], "would store a secret"),
        (["--root=gs://b/r", "--beam=--azure_connection_string=Key"], "would store a secret"),
        (
            ["--root=gs://b/r", "--step", "Trainer.beam=--password=hunter2"],
            "the option password would store a secret",
        ),
        (["--root=gs://b/r", "--image=u:hunter2@host/i:1"], "a URL holds a user name"),
        (["--root=gs://b/r", "--secret=DB_PASSWORD=hunter2"], "the field DB_PASSWORD would store"),
        (["--root=gs://b/r", "--set", "training.epoch=3"], "Did you mean training.epochs?"),
        (["--root=gs://b/r", "--step", "Trainr.cpu=1"], "Did you mean Trainer?"),
        (["--root=gs://b/r", "--secret=s3"], "takes a secret as NAME/KEY"),
        (["--root=gs://b/r", "--volume=data"], "--volume must be CLAIM:PATH"),
        (
            ["--root=gs://b/r", "--volume=data:/mnt/data", "--volume=data:/mnt/runs"],
            "each claim and each path once; got data:/mnt/data, data:/mnt/runs",
        ),
        (
            ["--root=gs://b/r", "--volume=data:/mnt", "--volume=runs:/mnt"],
            "each claim and each path once",
        ),
        (
            ["--target=vertex", "--root=gs://b/r", "--step", "Trainer.node_selector=a=b"],
            "--step Trainer.node_selector must be given for Kubeflow only",
        ),
    ],
)
def test_an_error_is_one_clear_line_and_writes_no_file(tmp_path, monkeypatch, arguments, message):
    monkeypatch.setattr(kubeflow_runner.console, "silence_libraries", lambda: None)
    path = tmp_path / "file.yaml"
    result = CliRunner().invoke(
        kubeflow_runner.main,
        ["--target=kfp-v2", f"--output={path}", "--image=i:1", *arguments],
    )
    assert result.exit_code == 1
    (line,) = result.stderr.strip().splitlines()
    assert message in line and "hunter2" not in line
    assert not path.exists()


@pytest.mark.parametrize("target", ["kfp-v1", "kfp-v2"])
def test_the_tuner_saves_checkpoints_as_the_trainer_does(tmp_path, target):
    path = tmp_path / "file.yaml"
    compile_file(target, path, *ARGUMENTS, *TARGETS[target], "--tune", "--grid=data.mixup=0,0.5")
    (first, *_) = yaml.safe_load_all(path.read_text())
    if target == "kfp-v1":
        containers = {each["name"]: each.get("container") for each in first["spec"]["templates"]}
        environments = [containers[name]["env"] for name in ("tuner", "trainer")]
        assert all(MINUTES in each and KEEP in each for each in environments)
    else:
        executors = first["deploymentSpec"]["executors"]
        names = ("Tuner_executor", "Trainer_executor")
        assert [executors[name]["container"]["env"] for name in names] == [[MINUTES, KEEP]] * 2
