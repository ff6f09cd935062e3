# SPDX-License-Identifier: Apache-2.0
"""Deployment: where and how Vertex AI serves the models of a pipeline. Imports no library."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Deployment:
    """Where and how models are served.

    Attributes:
        project, region: of Google Cloud.
        endpoint: display name of the endpoint; it is created where there is none.
        model_name: display name of the model in the registry; each push is a version of it.
        traffic: percentage of the endpoint's traffic for the new model, 0 to 100.
        serving_image: container image of TF Serving or of Vertex AI's prediction service.
        machine_type: of each replica.
        accelerator: name of an accelerator of Vertex AI; "" for none.
        accelerator_count: number of accelerators of each replica.
        min_replicas, max_replicas: the bounds of autoscaling.
    """

    project: str
    region: str
    endpoint: str
    model_name: str
    traffic: int = 100
    serving_image: str = "us-docker.pkg.dev/vertex-ai/prediction/tf2-cpu.2-15:latest"
    machine_type: str = "n1-standard-4"
    accelerator: str = ""
    accelerator_count: int = 0
    min_replicas: int = 1
    max_replicas: int = 1

    def __post_init__(self):
        if not 0 <= self.traffic <= 100:
            raise ValueError(f"traffic must be a percentage from 0 to 100; got {self.traffic}.")
        if bool(self.accelerator) != (self.accelerator_count > 0):
            raise ValueError(
                "accelerator and accelerator_count must be given together; got "
                f"{self.accelerator or 'none'} and {self.accelerator_count}."
            )
        if not 1 <= self.min_replicas <= self.max_replicas:
            raise ValueError(
                f"min_replicas must be from 1 to max_replicas; got {self.min_replicas} and "
                f"{self.max_replicas}."
            )

    @property
    def parent(self) -> str:
        return f"projects/{self.project}/locations/{self.region}"
