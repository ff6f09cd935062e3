# SPDX-License-Identifier: Apache-2.0
"""The files in deploy/: published schemas, and TensorFlow Serving's messages and flags."""

import pathlib
import re
import shutil
import subprocess

import pytest
import yaml
from google.protobuf import text_format
from jsonschema import ValidationError
from schemas import needs_schemas, require_valid
from tensorflow_serving.config import model_server_config_pb2

from mixer_tf.serving.batching_parameters import BatchingParameters

ROOT = pathlib.Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["serving"]
# Of tensorflow_serving/model_servers/main.cc.
FLAGS = {
    *("port", "rest_api_port", "rest_api_timeout_in_ms", "rest_api_num_threads", "model_name"),
    *("model_config_file", "model_base_path", "monitoring_config_file", "enable_batching"),
    *("batching_parameters_file", "file_system_poll_wait_seconds", "enable_model_warmup"),
}
# Fields and versions that are younger than the client library; the versions' other fields are the
# same.
YOUNGER = {"appProtocol", "behavior", "seccompProfile"}
OLDER = {"autoscaling/v2": "V2beta2", "policy/v1": "V1beta1"}


def documents(name: str) -> list[dict]:
    return list(yaml.safe_load_all((DEPLOY / name).read_text()))


MANIFESTS = [
    *documents("kubernetes/cpu/serving.yaml"),
    *documents("kubernetes/cpu/autoscaling.yaml"),
]


def of_kind(kind: str) -> dict:
    (found,) = [each for each in MANIFESTS if each["kind"] == kind]
    return found


def require_type(value, type_name: str, where: str) -> None:
    """Every field exists in Kubernetes' type and has its type."""
    models = pytest.importorskip("kubernetes").client.models
    if found := re.fullmatch(r"list\[(.*)\]", type_name):
        assert isinstance(value, list), where
        for index, item in enumerate(value):
            require_type(item, found.group(1), f"{where}[{index}]")
    elif found := re.fullmatch(r"dict\(str, (.*)\)", type_name):
        for key, item in value.items():
            require_type(item, found.group(1), f"{where}.{key}")
    elif hasattr(models, type_name):
        model = getattr(models, type_name)
        names = {json_name: name for name, json_name in model.attribute_map.items()}
        for key, item in value.items():
            if key in YOUNGER:
                continue
            assert key in names, f"{where} has no field {key}"
            require_type(item, model.openapi_types[names[key]], f"{where}.{key}")
    elif type_name != "object":  # a port may be a number or a name
        assert isinstance(value, {"str": str, "int": int, "bool": bool}[type_name]), where


@pytest.mark.parametrize("document", MANIFESTS, ids=lambda document: document["kind"])
def test_manifests_have_only_fields_that_kubernetes_knows(document):
    prefix = OLDER.get(document["apiVersion"], "V1")
    require_type(document, f"{prefix}{document['kind']}", document["kind"])


@needs_schemas
@pytest.mark.parametrize("document", MANIFESTS, ids=lambda document: document["kind"])
def test_manifests_are_valid_for_the_schema_of_kubernetes(document):
    require_valid(document, "kubernetes")


@needs_schemas
def test_a_wrong_field_of_kubernetes_is_found():
    for change in ({"replica": 1}, {"replicas": "1"}):
        document = of_kind("Deployment")
        with pytest.raises(ValidationError, match="replica|is not of type 'integer'"):
            require_valid({**document, "spec": {**document["spec"], **change}}, "kubernetes")


@pytest.mark.skipif(not shutil.which("kubectl"), reason="needs kubectl")
@pytest.mark.parametrize(("variant", "image"), [("cpu", "2.15.1"), ("gpu", "2.15.1-gpu")])
def test_kustomize_builds_both_variants(variant, image):
    command = ["kubectl", "kustomize", str(DEPLOY / "kubernetes" / variant)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = {each["kind"]: each for each in yaml.safe_load_all(done.stdout)}
    assert found.keys() == {each["kind"] for each in MANIFESTS}
    (container,) = found["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"tensorflow/serving:{image}"
    assert ("nvidia.com/gpu" in container["resources"]["limits"]) == (variant == "gpu")
    assert container["readinessProbe"] and container["args"] == COMPOSE["command"]


def test_names_labels_and_volumes_fit_together():
    deployment, service = of_kind("Deployment"), of_kind("Service")
    template = deployment["spec"]["template"]
    labels = template["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert (
        of_kind("PodDisruptionBudget")["spec"]["selector"]["matchLabels"].items() <= labels.items()
    )
    name = of_kind("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["name"]
    assert name == deployment["metadata"]["name"]
    (container,) = template["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert {port["targetPort"]: port["port"] for port in service["spec"]["ports"]} == ports
    volumes = {volume["name"]: volume for volume in template["spec"]["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes.keys()
    claim = volumes["models"]["persistentVolumeClaim"]["claimName"]
    assert claim == of_kind("PersistentVolumeClaim")["metadata"]["name"]
    assert volumes["config"]["configMap"]["name"] == of_kind("ConfigMap")["metadata"]["name"]


def test_the_config_map_holds_the_files_of_compose():
    data = of_kind("ConfigMap")["data"]
    for name in ("models.config", "monitoring.config", "batching_parameters.txt"):
        lines = (DEPLOY / name).read_text().splitlines()
        wanted = [line for line in lines if not line.strip().startswith("#")]
        assert data[name].splitlines() == wanted, name


def test_tensorflow_serving_reads_the_config_files():
    config = model_server_config_pb2.ModelServerConfig()
    text_format.Parse((DEPLOY / "models.config").read_text(), config)
    (model,) = config.model_config_list.config
    assert (model.name, model.base_path) == ("mixer", "/models/mixer")
    assert model.model_version_policy.latest.num_versions == 1
    found = BatchingParameters.from_text((DEPLOY / "batching_parameters.txt").read_text())
    assert found.largest_batch == 32


def test_flags_exist_and_their_files_are_mounted():
    used = dict(flag.removeprefix("--").split("=", 1) for flag in COMPOSE["command"])
    assert used.keys() <= FLAGS
    mounted = {volume.split(":")[-2] for volume in COMPOSE["volumes"]}
    for name, value in used.items():
        if name.endswith("_file"):
            assert value in mounted
            assert (DEPLOY / pathlib.Path(value).name).exists()
    assert "/models/mixer" in mounted


def test_the_image_is_of_the_locked_tensorflow():
    (locked,) = re.findall(r"^tensorflow==([\d.]+)", (ROOT / "requirements.lock").read_text(), re.M)
    for path in [*DEPLOY.rglob("*.yaml")]:
        for version in re.findall(
            r"(?:tensorflow/serving:|runtimeVersion: )([\d.]+)", path.read_text()
        ):
            assert version == locked, path


@pytest.mark.parametrize("name", ["inference_service.yaml", "inference_service_gpu.yaml"])
def test_kserve(name):
    (document,) = documents(f"kserve/{name}")
    assert (document["apiVersion"], document["kind"]) == (
        "serving.kserve.io/v1beta1",
        "InferenceService",
    )
    model = document["spec"]["predictor"]["model"]
    require_type(model["resources"], "V1ResourceRequirements", "resources")
    require_type(model["readinessProbe"], "V1Probe", "readinessProbe")
    used = dict(flag.removeprefix("--").split("=", 1) for flag in model["args"])
    assert used.keys() <= FLAGS
    assert (
        model["storageUri"] == f"pvc://{of_kind('PersistentVolumeClaim')['metadata']['name']}/mixer"
    )
    assert ("nvidia.com/gpu" in model["resources"]["limits"]) == ("gpu" in name)


@needs_schemas
@pytest.mark.parametrize("name", ["inference_service.yaml", "inference_service_gpu.yaml"])
def test_kserve_is_valid_for_its_schema(name):
    require_valid(*documents(f"kserve/{name}"), "kserve_inference_service")


@needs_schemas
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("modelFormat", "tensorflow"),
        ("minReplicas", "1"),
        ("storageURI", "pvc://mixer-models/mixer"),
    ],
)
def test_a_wrong_field_of_kserve_is_found(field, value):
    (document,) = documents("kserve/inference_service.yaml")
    predictor = document["spec"]["predictor"]
    (predictor if field == "minReplicas" else predictor["model"])[field] = value
    with pytest.raises(ValidationError):
        require_valid(document, "kserve_inference_service")


def test_the_health_check_of_compose_runs_against_a_server(served_for_health):
    port, name = served_for_health
    *command, script = COMPOSE["healthcheck"]["test"][1:]
    script = script.replace("8501", str(port))
    assert subprocess.run([*command, script], timeout=60).returncode == (
        0 if name == "mixer" else 1
    )


@pytest.fixture(params=["mixer", "other"])
def served_for_health(request, tmp_path):
    """The REST port of a server for a model of one operation, and the name of the model."""
    import tensorflow as tf

    from mixer_tf.serving.server.model_server import ModelServer

    module = tf.Module()
    module.f = tf.function(lambda x: {"y": x}, input_signature=[tf.TensorSpec([None], tf.float32)])
    tf.saved_model.save(module, str(tmp_path / "1"), signatures=module.f)
    with ModelServer(str(tmp_path), name=request.param, rest_port=0, grpc_port=0) as server:
        yield server.rest_port, request.param
