# SPDX-License-Identifier: Apache-2.0
"""The InfraValidator in the graph, its requests, and one clear error where it cannot run."""

import dataclasses
import subprocess
import sys

import kubernetes_api
import numpy as np
import pytest
import tensorflow as tf
from tfx.components.infra_validator import request_builder
from tfx.components.util import examples_utils
from tfx.proto import example_gen_pb2, infra_validator_pb2
from tfx.types import artifact_utils, standard_artifacts
from tfx.utils import json_utils, proto_utils

from components.pusher import gates
from mixer_tf import factory, recipes
from mixer_tf.export import saved_model
from pipeline.configs import PipelineConfig
from pipeline.definition import create_pipeline
from pipeline.local import docker_daemon

CONFIG = PipelineConfig(name="n", root="/r", source="digits", recipe=recipes.get("digits"))


def nodes(infra_validator: str) -> dict:
    config = dataclasses.replace(CONFIG, infra_validator=infra_validator)
    return {node.id: node for node in create_pipeline(config).components}


def spec(node, name: str, kind):
    message = kind()
    proto_utils.json_to_proto(node.exec_properties[name], message)
    return message


def has_docker() -> bool:
    return subprocess.run(["sh", "-c", "docker info"], capture_output=True).returncode == 0


def test_it_is_off_unless_it_is_asked_for_and_the_model_checker_always_runs():
    assert "InfraValidator" not in nodes("off") and "ModelChecker" in nodes("off")
    for place in ("docker", "kubernetes"):
        found = nodes(place)
        assert "ModelChecker" in found
        assert found["Pusher"].inputs["server_blessing"] is not None
        serving = spec(found["InfraValidator"], "serving_spec", infra_validator_pb2.ServingSpec)
        platform = {"docker": "local_docker", "kubernetes": "kubernetes"}[place]
        assert serving.WhichOneof("serving_platform") == platform
        assert list(serving.tensorflow_serving.tags) == [tf.__version__]


def test_an_unknown_place_is_refused():
    with pytest.raises(ValueError, match="must be one of docker, kubernetes, off; got 'podman'"):
        dataclasses.replace(CONFIG, infra_validator="podman")


def test_its_requests_are_answered_by_an_export(dataset, recipe, tmp_path):
    """TFX builds them from our Examples; the signature is called with what they hold."""
    path = str(tmp_path / "Format-Serving")
    model_of_recipe = factory.from_recipe(recipe, 3)
    saved_model.export_saved_model(model_of_recipe, recipe, dataset.info.class_names, path)
    model, examples = standard_artifacts.Model(), standard_artifacts.Examples()
    model.uri, examples.uri = str(tmp_path), dataset.folder
    examples.split_names = artifact_utils.encode_split_names(["train", "eval", "test"])
    examples_utils.set_payload_format(examples, example_gen_pb2.FORMAT_TF_EXAMPLE)
    node = nodes("docker")["InfraValidator"]
    requests = request_builder.build_requests(
        "model", model, examples, spec(node, "request_spec", infra_validator_pb2.RequestSpec)
    )
    assert len(requests) == 3
    signatures = tf.saved_model.load(path).signatures
    for request in requests:
        assert list(request.inputs) == ["examples"]
        serialized = tf.make_ndarray(request.inputs["examples"])
        answer = signatures[request.model_spec.signature_name](examples=tf.constant(serialized))
        np.testing.assert_allclose(answer["probabilities"].numpy().sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(("blessed", "count"), [(1, 0), (0, 1)])
def test_a_model_that_the_server_does_not_load_is_not_pushed(blessed, count):
    blessing = standard_artifacts.InfraBlessing()
    blessing.set_int_custom_property("blessed", blessed)
    reasons = gates.reasons_not_to_push({"server_blessing": [blessing]})
    assert len(reasons) == count
    assert all("TensorFlow Serving did not load it" in reason for reason in reasons)


def test_kubernetes_is_refused_on_this_machine():
    with pytest.raises(ValueError, match="needs a pipeline that runs in Kubeflow Pipelines"):
        docker_daemon.require("kubernetes")
    docker_daemon.require("off")


@pytest.mark.skipif(has_docker(), reason="a Docker daemon runs here")
def test_without_a_docker_daemon_the_run_ends_at_once_with_one_clear_line(tmp_path):
    command = [sys.executable, "-m", "pipeline.local_runner", f"--root={tmp_path / 'root'}"]
    result = subprocess.run(
        [*command, "--infra-validator=docker"], capture_output=True, text=True, timeout=100
    )
    assert result.returncode == 1
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("Error: --infra-validator=docker needs a Docker daemon")
    assert "Start Docker, or leave the option out" in line
    assert not (tmp_path / "root" / "metadata.sqlite").exists()


_RUN = """
import sys
from tfx.components.infra_validator.executor import Executor
from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.types import artifact_utils
from tfx.utils import json_utils

inputs, outputs, properties, folder = sys.argv[1:]
blessing = artifact_utils.parse_artifact_dict(outputs)
Executor(BaseExecutor.Context(tmp_dir=folder, unique_id="1")).Do(
    artifact_utils.parse_artifact_dict(inputs), blessing, json_utils.loads(properties)
)
print("blessed", blessing["blessing"][0].get_int_custom_property("blessed"))
"""


@pytest.mark.slow
def test_in_kubernetes_it_starts_a_model_server_and_removes_it(dataset, recipe, tmp_path):
    """TFX's executor, with the messages of Kubernetes; the pod is a server of mixer_tf."""
    volume = tmp_path / "volume"
    model_of_recipe = factory.from_recipe(recipe, 3)
    path = str(volume / "model" / "Format-Serving")
    saved_model.export_saved_model(model_of_recipe, recipe, dataset.info.class_names, path)
    model, examples = standard_artifacts.Model(), standard_artifacts.Examples()
    model.uri, examples.uri = str(volume / "model"), dataset.folder
    examples.split_names = artifact_utils.encode_split_names(["train", "eval", "test"])
    examples_utils.set_payload_format(examples, example_gen_pb2.FORMAT_TF_EXAMPLE)
    blessing = standard_artifacts.InfraBlessing()
    blessing.uri = str(volume / "blessing")
    arguments = [
        artifact_utils.jsonify_artifact_dict({"model": [model], "examples": [examples]}),
        artifact_utils.jsonify_artifact_dict({"blessing": [blessing]}),
        json_utils.dumps(dict(nodes("kubernetes")["InfraValidator"].exec_properties)),
        str(volume / "temporary"),
    ]
    with kubernetes_api.reachable_kubernetes(tmp_path / "pod", volume) as (cluster, environment):
        done = subprocess.run(
            [sys.executable, "-c", _RUN, *arguments],
            env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), **environment},
            capture_output=True,
            text=True,
            timeout=500,
        )
    assert done.stdout.strip().endswith("blessed 1"), done.stderr[-3000:]
    (pod,) = cluster.created
    (container,) = pod["spec"]["containers"]
    assert container["image"] == f"tensorflow/serving:{tf.__version__}"
    (mount,) = container["volumeMounts"]
    assert mount["mountPath"] == str(volume) and mount["readOnly"]
    assert pod["metadata"]["ownerReferences"][0]["name"] == kubernetes_api.POD
    assert list(cluster.pods) == [kubernetes_api.POD]
