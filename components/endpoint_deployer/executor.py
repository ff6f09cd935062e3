# SPDX-License-Identifier: Apache-2.0
"""The executor of EndpointDeployer: registers and deploys a model that was pushed."""

from __future__ import annotations

import json
from typing import Any

from google.cloud import aiplatform_v1 as vertex
from tfx.dsl.components.base import base_executor
from tfx.types import Artifact, artifact_utils

from components.endpoint_deployer import requests
from components.endpoint_deployer.deployment import Deployment
from components.pusher.executor import DESTINATION, PUSHED, REASON, SERVED, VERSION

_SECONDS = 3600


class Executor(base_executor.BaseExecutor):
    """Makes what is missing: a step that was started twice deploys a model once."""

    def Do(
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """See the component."""
        pushed = artifact_utils.get_single_instance(input_dict["pushed_model"])
        deployed = artifact_utils.get_single_instance(output_dict["deployed_model"])
        # A model that an earlier run has pushed may still lack its deployment.
        is_there = any(pushed.get_custom_property(name) for name in (PUSHED, SERVED))
        deployed.set_int_custom_property(PUSHED, int(is_there))
        if not is_there:
            deployed.set_string_custom_property(REASON, "the Pusher pushed no model")
            return
        deployment = Deployment(**json.loads(exec_properties["deployment"]))
        path = pushed.get_string_custom_property(DESTINATION)
        version = pushed.get_string_custom_property(VERSION)
        model = register(deployment, path, version)
        endpoint = deploy(deployment, model)
        deployed.set_string_custom_property(DESTINATION, endpoint)
        deployed.set_string_custom_property(VERSION, model)


def clients(region: str) -> tuple[vertex.ModelServiceClient, vertex.EndpointServiceClient]:
    """Returns clients with the credentials of the container."""
    options = {"api_endpoint": f"{region}-aiplatform.googleapis.com"}
    return (
        vertex.ModelServiceClient(client_options=options),
        vertex.EndpointServiceClient(client_options=options),
    )


def register(deployment: Deployment, path: str, version: str) -> str:
    """Returns the resource name of the version in the registry, with "@" and its number.

    Args:
        deployment: where.
        path: the folder of the SavedModel.
        version: its number in the serving folder.
    """
    models, _ = clients(deployment.region)
    found = list(
        models.list_models(
            request=vertex.ListModelsRequest(
                parent=deployment.parent, filter=f'display_name="{deployment.model_name}"'
            )
        )
    )
    parent_model = found[0].name.partition("@")[0] if found else ""
    if parent_model:
        for known in models.list_model_versions(name=parent_model):
            if requests.version_alias(version) in known.version_aliases:
                return f"{parent_model}@{known.version_id}"
    request = requests.upload_model(deployment, path, version, parent_model)
    answer = models.upload_model(request=request).result(timeout=_SECONDS)
    return f"{answer.model.partition('@')[0]}@{answer.model_version_id}"


def deploy(deployment: Deployment, model: str) -> str:
    """Returns the resource name of the endpoint that now serves the model.

    Other versions of the model that get no traffic any more are undeployed, since each costs its
    replicas; they stay in the registry.

    Args:
        deployment: where and how.
        model: resource name of a version of the model.
    """
    _, endpoints = clients(deployment.region)
    found = list(
        endpoints.list_endpoints(
            request=vertex.ListEndpointsRequest(
                parent=deployment.parent, filter=f'display_name="{deployment.endpoint}"'
            )
        )
    )
    if found:
        endpoint = found[0]
    else:
        request = requests.create_endpoint(deployment)
        endpoint = endpoints.create_endpoint(request=request).result(timeout=_SECONDS)
    served = {f"{m.model.partition('@')[0]}@{m.model_version_id}" for m in endpoint.deployed_models}
    if model not in served:
        request = requests.deploy_model(deployment, endpoint, model)
        endpoints.deploy_model(request=request).result(timeout=_SECONDS)
        endpoint = endpoints.get_endpoint(name=endpoint.name)
    for request in requests.undeploy_models(endpoint, model):
        endpoints.undeploy_model(request=request).result(timeout=_SECONDS)
    return endpoint.name
