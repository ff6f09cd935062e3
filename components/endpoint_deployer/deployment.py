# SPDX-License-Identifier: Apache-2.0
"""Deployment: where and how Vertex AI serves the models of a pipeline. Imports no library."""

from __future__ import annotations

import dataclasses
import re

_IMAGE = "us-docker.pkg.dev/vertex-ai/prediction/tf2-{}.2-15:latest"
_VERTEX_IMAGE = re.compile(r"[\w.-]*docker\.pkg\.dev/vertex-ai[\w-]*/prediction/tf2-")


@dataclasses.dataclass(frozen=True)
class Deployment:
    """Where and how models are served.

    Attributes:
        project, region: project and region of Google Cloud.
        endpoint: display name of the endpoint; it is created where there is none.
        model_name: display name of the model in the registry; each push is a version of it.
        traffic: percentage of the endpoint's traffic for the new model, 0 to 100.
        serving_image: one of Vertex AI's own images for TensorFlow 2; "" for that of 2.15, with or
            without a GPU. Others, such as TF Serving, listen elsewhere.
        machine_type: machine type of each replica.
        accelerator: name of an accelerator of Vertex AI; "" for none.
        accelerator_count: number of accelerators of each replica.
        min_replicas, max_replicas: the bounds of autoscaling.
    """

    project: str
    region: str
    endpoint: str
    model_name: str
    traffic: int = 100
    serving_image: str = ""
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

        if self.serving_image and not _VERTEX_IMAGE.match(self.serving_image):
            raise ValueError(
                "serving_image must be one of Vertex AI's own for TensorFlow 2, such as "
                f"{_IMAGE.format('cpu')}; got {self.serving_image}."
            )

    @property
    def image(self) -> str:
        """The container image that serves."""
        return self.serving_image or _IMAGE.format("gpu" if self.accelerator else "cpu")

    @property
    def parent(self) -> str:
        return f"projects/{self.project}/locations/{self.region}"
