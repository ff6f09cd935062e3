# SPDX-License-Identifier: Apache-2.0
"""The contract of EndpointDeployer: its parameter, input and output."""

from __future__ import annotations

import dataclasses
import json

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import BaseChannel, channel_utils, component_spec, standard_artifacts

from components.endpoint_deployer.deployment import Deployment
from components.endpoint_deployer.executor import Executor


class EndpointDeployerSpec(component_spec.ComponentSpec):
    """Parameter, input and output of EndpointDeployer."""

    PARAMETERS = {"deployment": component_spec.ExecutionParameter(type=str)}
    INPUTS = {"pushed_model": component_spec.ChannelParameter(type=standard_artifacts.PushedModel)}
    OUTPUTS = {
        "deployed_model": component_spec.ChannelParameter(type=standard_artifacts.PushedModel)
    }


class EndpointDeployer(base_component.BaseComponent):
    """Registers a pushed model with Vertex AI, and gives it a share of an endpoint's traffic.

    Each push becomes a version of one model in the registry, with the alias "v" and its number in
    the serving folder. The models that the endpoint serves already keep the rest of the traffic,
    divided as before. A model that the Pusher did not push is not deployed.

    TFX's Pusher for Vertex AI would make a new model for each push, and knows the gates of this
    pipeline not.

    ```
    deployer = EndpointDeployer(
        pushed_model=pusher.outputs["pushed_model"],
        deployment=Deployment("my-project", "europe-west4", endpoint="pets", model_name="pets"),
    )
    ```
    """

    SPEC_CLASS = EndpointDeployerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, pushed_model: BaseChannel, deployment: Deployment):
        """Makes the component.

        Args:
            pushed_model: a channel of the Pusher's output.
            deployment: where and how models are served.
        """
        super().__init__(
            EndpointDeployerSpec(
                pushed_model=pushed_model,
                deployment=json.dumps(dataclasses.asdict(deployment)),
                deployed_model=channel_utils.as_channel([standard_artifacts.PushedModel()]),
            )
        )
