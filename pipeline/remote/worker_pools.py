# SPDX-License-Identifier: Apache-2.0
"""Training on worker pools of Vertex AI: one or more machines with GPUs or a TPU, as a CustomJob.

The Trainer's own container then only starts the job and waits for it. So does the Tuner's, whose
job has one machine: a trial does not span several.
"""

from __future__ import annotations

import dataclasses

from google.cloud import aiplatform_v1 as vertex
from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.extensions.google_cloud_ai_platform import constants
from tfx.extensions.google_cloud_ai_platform.trainer.executor import TRAINING_ARGS_KEY
from tfx.utils import json_utils

from components.trainer.vertex_executor import VertexExecutor as TrainerExecutor
from components.tuner.vertex_executor import VertexExecutor as TunerExecutor
from pipeline.resources import TUNER, StepResources


@dataclasses.dataclass(frozen=True)
class WorkerPools:
    """Machines for one training.

    Attributes:
        project, region: project and region of Google Cloud.
        machine_type: type of the machines, such as "g2-standard-24" or "cloud-tpu".
        workers: number of machines; from 2 on, TF_CONFIG lists them for `--strategy=auto`.
        service_account: the account of the job; "" for the default one.
    """

    project: str
    region: str
    machine_type: str
    workers: int = 1
    service_account: str = ""

    def __post_init__(self):
        if self.workers < 1:
            raise ValueError(f"--workers must be 1 or more; got {self.workers}.")


def require_accelerator(title: str, name: str | None) -> None:
    """Checks the name of an accelerator; none at all is not checked.

    Args:
        title: what has it, such as "a worker pool".
        name: the name.

    Raises:
        ValueError: Vertex AI has no such accelerator.
    """
    known = list(vertex.AcceleratorType.__members__)[1:]
    if name and name not in known:
        raise ValueError(
            f"the accelerator of {title} must be one of {', '.join(known)}; got {name!r}."
        )


def custom_job(pools: WorkerPools, trainer: StepResources, name: str) -> dict:
    """Returns a CustomJob of Vertex AI; TFX adds the command of its containers.

    Args:
        pools: the machines.
        trainer: image, accelerator and timeout of the Trainer.
        name: display name of the job.

    Raises:
        ValueError: Vertex AI has no such accelerator.
    """
    require_accelerator("a worker pool", trainer.accelerator)
    job_spec = {"worker_pool_specs": _pools(pools, trainer)}
    if trainer.timeout:
        job_spec["scheduling"] = {"timeout": {"seconds": trainer.timeout}}
    if pools.service_account:
        job_spec["service_account"] = pools.service_account
    job = {"display_name": name, "job_spec": job_spec}
    vertex.CustomJob(job)  # raises where Vertex AI does not know a field
    return job


def _pools(pools: WorkerPools, trainer: StepResources) -> list[dict]:
    """The chief is a pool of its own."""
    machine = {"machine_type": pools.machine_type}
    if trainer.accelerator:
        machine |= {
            "accelerator_type": trainer.accelerator,
            "accelerator_count": trainer.accelerator_count,
        }
    variables = [{"name": name, "value": value} for name, value in trainer.environment.items()]
    container = {"image_uri": trainer.image} | ({"env": variables} if variables else {})
    pool = {"machine_spec": machine, "container_spec": container}
    counts = [1] if pools.workers == 1 else [1, pools.workers - 1]
    return [{**pool, "replica_count": count} for count in counts]


def train_on(pools: WorkerPools, node: BaseNode, trainer: StepResources, name: str) -> None:
    """Makes a Trainer or a Tuner start a CustomJob instead of training in its own container.

    Args:
        pools: the machines.
        node: the Trainer or the Tuner; it is changed.
        trainer: image, accelerator and timeout of the training.
        name: display name of the job.
    """
    is_tuner = node.id == TUNER
    pools = dataclasses.replace(pools, workers=1) if is_tuner else pools
    config = json_utils.loads(node.exec_properties["custom_config"])
    config[TRAINING_ARGS_KEY] = {"project": pools.project, **custom_job(pools, trainer, name)}
    config[constants.ENABLE_VERTEX_KEY] = True
    config[constants.VERTEX_REGION_KEY] = pools.region
    node.exec_properties["custom_config"] = json_utils.dumps(config)
    node.executor_spec = ExecutorClassSpec(TunerExecutor if is_tuner else TrainerExecutor)
