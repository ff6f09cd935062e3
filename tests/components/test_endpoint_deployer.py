# SPDX-License-Identifier: Apache-2.0
"""EndpointDeployer against a local server that speaks Vertex AI's own messages."""

import dataclasses
import json

import grpc
import pytest
from google.cloud import aiplatform_v1 as vertex
from tfx.types import standard_artifacts
from vertex_server import FakeVertex

from components.endpoint_deployer import executor, requests
from components.endpoint_deployer.deployment import Deployment

DEPLOYMENT = Deployment("p", "europe-west4", "pets", "pets-model", traffic=20)
PARENT = "projects/p/locations/europe-west4"


@pytest.mark.parametrize(
    ("current", "percentage", "expected"),
    [
        ({}, 20, {"0": 100}),  # the first model
        ({"a": 100}, 20, {"0": 20, "a": 80}),
        ({"a": 100}, 100, {"0": 100, "a": 0}),
        ({"a": 100}, 0, {"0": 0, "a": 100}),
        ({"a": 75, "b": 25}, 20, {"0": 20, "a": 60, "b": 20}),
        ({"a": 34, "b": 33, "c": 33}, 10, {"0": 10, "a": 32, "b": 29, "c": 29}),
        ({"a": 100, "b": 0}, 50, {"0": 50, "a": 50}),
    ],
)
def test_traffic_of_the_models_before_keeps_its_proportions(current, percentage, expected):
    split = requests.split_traffic(current, percentage)
    assert split == expected
    assert sum(split.values()) == 100


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"traffic": 101}, "traffic must be a percentage"),
        ({"accelerator": "NVIDIA_L4"}, "accelerator and accelerator_count must be given together"),
        ({"min_replicas": 3, "max_replicas": 2}, "min_replicas must be from 1 to max_replicas"),
        ({"serving_image": "tensorflow/serving:2.15.1"}, "must be one of Vertex AI's own for Tens"),
    ],
)
def test_a_bad_deployment_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(DEPLOYMENT, **change)


def test_the_image_has_a_gpu_where_the_machine_has_one():
    gpu = dataclasses.replace(DEPLOYMENT, accelerator="NVIDIA_L4", accelerator_count=1)
    own = dataclasses.replace(DEPLOYMENT, serving_image=DEPLOYMENT.image.replace("2-15", "2-12"))
    images = [deployment.image for deployment in (DEPLOYMENT, gpu, own)]
    names = [image.rpartition("/")[2] for image in images]
    assert names == ["tf2-cpu.2-15:latest", "tf2-gpu.2-15:latest", "tf2-cpu.2-12:latest"]


@pytest.fixture
def server(monkeypatch):
    handler = FakeVertex(PARENT)

    def clients(region: str):
        assert region == "europe-west4"
        for kind in (vertex.ModelServiceClient, vertex.EndpointServiceClient):
            yield kind(transport=kind.get_transport_class("grpc")(channel=channel))

    monkeypatch.setattr(executor, "clients", clients)
    with handler.serve() as port:
        channel = grpc.insecure_channel(f"localhost:{port}")
        yield handler
        channel.close()


def run(
    version: str, pushed: int = 1, served: int = 0, deployment: Deployment = DEPLOYMENT
) -> standard_artifacts.PushedModel:
    pushed_model = standard_artifacts.PushedModel()
    pushed_model.set_int_custom_property("pushed", pushed)
    pushed_model.set_int_custom_property("served", served)
    pushed_model.set_string_custom_property("pushed_destination", f"gs://b/serving/{version}")
    pushed_model.set_string_custom_property("pushed_version", version)
    deployed_model = standard_artifacts.PushedModel()
    executor.Executor().Do(
        {"pushed_model": [pushed_model]},
        {"deployed_model": [deployed_model]},
        {"deployment": json.dumps(dataclasses.asdict(deployment))},
    )
    return deployed_model


def test_each_push_is_a_version_of_one_model_with_its_share_of_the_traffic(server):
    first, second = run("1700000001"), run("1700000002")
    ((name, versions),) = server.models.items()
    assert [list(model.version_aliases) for model in versions] == [
        ["v1700000001"],
        ["v1700000002"],
    ]
    assert versions[1].artifact_uri == "gs://b/serving/1700000002"
    assert versions[1].container_spec.image_uri == DEPLOYMENT.image
    (endpoint,) = server.endpoints
    assert dict(endpoint.traffic_split) == {"1": 80, "2": 20}
    resources = endpoint.deployed_models[1].dedicated_resources
    assert resources.machine_spec.machine_type == "n1-standard-4"
    assert (first.get_int_custom_property("pushed"), second.get_int_custom_property("pushed")) == (
        1,
        1,
    )
    assert second.get_string_custom_property("pushed_destination") == endpoint.name
    assert second.get_string_custom_property("pushed_version") == f"{name}@2"


def test_versions_without_traffic_are_undeployed(server):
    """Each costs its replicas; a new one that waits for its traffic stays, and so do others'."""
    run("1700000001")
    (endpoint,) = server.endpoints
    endpoint.deployed_models.append(vertex.DeployedModel(id="9", model=f"{PARENT}/models/other"))
    run("1700000002", deployment=dataclasses.replace(DEPLOYMENT, traffic=0))
    assert [each.id for each in server.endpoints[0].deployed_models] == ["1", "9", "2"]
    run("1700000003", deployment=dataclasses.replace(DEPLOYMENT, traffic=100))
    (endpoint,) = server.endpoints
    assert [each.id for each in endpoint.deployed_models] == ["9", "3"]
    assert dict(endpoint.traffic_split) == {"3": 100}
    assert [len(versions) for versions in server.models.values()] == [3]


def test_a_step_that_runs_twice_deploys_once(server):
    run("1700000001")
    before = list(server.calls)
    run("1700000001")
    assert set(server.calls[len(before) :]) == {"ListModels", "ListModelVersions", "ListEndpoints"}


def test_a_model_that_was_not_pushed_is_not_deployed(server):
    deployed = run("1700000001", pushed=0)
    assert server.calls == []
    assert deployed.get_int_custom_property("pushed") == 0
    assert deployed.get_string_custom_property("reason") == "the Pusher pushed no model"


def test_a_deployment_that_failed_is_made_up_for_by_the_next_run(server):
    """Its Pusher finds the model in the serving folder, and pushes nothing."""
    deployed = run("1700000001", pushed=0, served=1)
    assert deployed.get_int_custom_property("pushed") == 1
    assert len(server.models) == 1 and server.endpoints[0].deployed_models
