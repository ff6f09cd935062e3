# SPDX-License-Identifier: Apache-2.0
"""The requests to Vertex AI that put a model into its registry and onto an endpoint."""

from __future__ import annotations

from collections.abc import Mapping

from google.cloud import aiplatform_v1 as vertex

from components.endpoint_deployer.deployment import Deployment

# "0" stands for the model that a request deploys.
NEW_MODEL = "0"


def version_alias(version: str) -> str:
    """Returns the alias of a version: Vertex AI wants a letter first."""
    return f"v{version}"


def upload_model(
    deployment: Deployment, artifact_uri: str, version: str, parent_model: str = ""
) -> vertex.UploadModelRequest:
    """Returns the request that registers a SavedModel.

    Args:
        deployment: where.
        artifact_uri: the folder of the SavedModel, gs://….
        version: its number in the serving folder.
        parent_model: resource name of the model that this is a version of; "" for a new model.
    """
    return vertex.UploadModelRequest(
        parent=deployment.parent,
        parent_model=parent_model,
        model=vertex.Model(
            display_name=deployment.model_name,
            artifact_uri=artifact_uri,
            version_aliases=[version_alias(version)],
            container_spec=vertex.ModelContainerSpec(image_uri=deployment.image),
        ),
    )


def create_endpoint(deployment: Deployment) -> vertex.CreateEndpointRequest:
    """Returns the request that makes the endpoint."""
    return vertex.CreateEndpointRequest(
        parent=deployment.parent, endpoint=vertex.Endpoint(display_name=deployment.endpoint)
    )


def deploy_model(
    deployment: Deployment, endpoint: vertex.Endpoint, model: str
) -> vertex.DeployModelRequest:
    """Returns the request that serves a model, and splits the traffic.

    Args:
        deployment: how.
        endpoint: the endpoint as it is.
        model: resource name of a version of the model.
    """
    machine = vertex.MachineSpec(machine_type=deployment.machine_type)
    if deployment.accelerator:
        machine.accelerator_type = deployment.accelerator
        machine.accelerator_count = deployment.accelerator_count
    return vertex.DeployModelRequest(
        endpoint=endpoint.name,
        deployed_model=vertex.DeployedModel(
            model=model,
            display_name=deployment.model_name,
            dedicated_resources=vertex.DedicatedResources(
                machine_spec=machine,
                min_replica_count=deployment.min_replicas,
                max_replica_count=deployment.max_replicas,
            ),
        ),
        traffic_split=split_traffic(endpoint.traffic_split, deployment.traffic),
    )


def undeploy_models(endpoint: vertex.Endpoint, model: str) -> list[vertex.UndeployModelRequest]:
    """Returns the requests that end replicas of other versions of a model which get no traffic.

    Args:
        endpoint: the endpoint as it is.
        model: resource name of the version that stays, with "@" and its number.
    """
    name, _, version = model.partition("@")
    return [
        vertex.UndeployModelRequest(endpoint=endpoint.name, deployed_model_id=deployed.id)
        for deployed in endpoint.deployed_models
        if deployed.model.partition("@")[0] == name
        and deployed.model_version_id != version
        and not endpoint.traffic_split.get(deployed.id)
    ]


def split_traffic(current: Mapping[str, int], percentage: int) -> dict[str, int]:
    """Returns the traffic of each model in percent: the new one's, and the rest as it was divided.

    The first model of an endpoint gets all. Rounding errors go to the model with most traffic.

    Args:
        current: id of a deployed model → its percentage.
        percentage: traffic of the new model, 0 to 100.
    """
    serving = {model: share for model, share in current.items() if share}
    if not serving:
        return {NEW_MODEL: 100}
    rest, total = 100 - percentage, sum(serving.values())
    split = {model: share * rest // total for model, share in serving.items()}
    split[max(serving, key=serving.__getitem__)] += rest - sum(split.values())
    return {NEW_MODEL: percentage, **split}
