# SPDX-License-Identifier: Apache-2.0
"""Whether the InfraValidator can run here: without Docker it would silently block every push."""

from __future__ import annotations

from pipeline.configs import DOCKER, KUBERNETES


def require(infra_validator: str) -> None:
    """Checks that the place exists where the InfraValidator starts TensorFlow Serving.

    Raises:
        ValueError: no Docker daemon responds, or the place is Kubernetes, which TFX uses only from
            within Kubeflow Pipelines.
    """
    if infra_validator == KUBERNETES:
        raise ValueError(
            "--infra-validator=kubernetes needs a pipeline that runs in Kubeflow Pipelines, where "
            "TFX starts the server; got a run on this machine. Use docker, or leave it out."
        )
    if infra_validator == DOCKER:
        _require_docker()


def _require_docker() -> None:
    import docker

    try:
        docker.from_env(timeout=10).ping()
    except Exception as error:  # requests, urllib3 and docker raise errors of their own
        raise ValueError(
            "--infra-validator=docker needs a Docker daemon, in which TensorFlow Serving is "
            f"started; got {_first_line(error)}. Start Docker, or leave the option out: the "
            "ModelChecker loads the model in any case."
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0].rstrip(".") or type(error).__name__
