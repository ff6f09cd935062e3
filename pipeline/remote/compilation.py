# SPDX-License-Identifier: Apache-2.0
"""From a configuration to the file of an orchestrator, offline: no source or bucket is opened."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence

import yaml
from tfx.dsl.components.base.base_beam_component import BaseBeamComponent
from tfx.dsl.components.common.resolver import Resolver
from tfx.orchestration.pipeline import Pipeline

from pipeline import fingerprints
from pipeline.configs import FILES, METADATA, PipelineConfig
from pipeline.definition import create_pipeline
from pipeline.remote import checks, kfp_v1, kfp_v2
from pipeline.remote.parameters import add_parameters
from pipeline.resources import TRAINER, TUNER, StepResources, make_resources

# What these read is not an input. Kubeflow Pipelines v2 and Vertex AI have no drivers: from the
# cache, the steps would never see that the data changed or a model was pushed.
_READ_FOLDERS = ("DataFingerprint", "DriftValidator", "LastPushedModel")


@dataclasses.dataclass(frozen=True)
class Options:
    """What an orchestrator needs beyond the configuration.

    Attributes:
        target: one of `checks.TARGETS`.
        image: the container image of all steps.
        train_image: the image of the Trainer and the Tuner; None for `image`.
        steps: "STEP.FIELD=VALUE" texts; see `resources.make_resources`.
        secrets: names of Kubernetes secrets whose keys become environment variables of the steps.
        volumes: name of a claim of a persistent volume of Kubernetes → its path in every step.
        machines: for Vertex AI, the arguments of `worker_pools.WorkerPools`; None to train in the
            containers of the Trainer and the Tuner.
    """

    target: str
    image: str
    train_image: str | None = None
    steps: Sequence[str] = ()
    secrets: Sequence[str] = ()
    volumes: Mapping[str, str] = dataclasses.field(default_factory=dict)
    machines: Mapping[str, object] | None = None

    def __post_init__(self):
        if self.target not in checks.TARGETS:
            raise ValueError(
                f"target must be one of {', '.join(checks.TARGETS)}; got {self.target!r}."
            )
        if self.volumes and self.target == "vertex":
            raise ValueError(
                "--volume takes a volume of Kubernetes, which Vertex AI does not have; use gs://…."
            )
        if self.secrets and self.target == "vertex":
            raise ValueError(
                "--secret takes a secret of Kubernetes, which Vertex AI does not have; give its "
                "service account the rights instead."
            )


def compile_pipeline(config: PipelineConfig, options: Options) -> str:
    """Returns the content of the file: YAML for Kubeflow Pipelines, JSON for Vertex AI.

    Args:
        config: the run.
        options: the orchestrator.

    Raises:
        ValueError: something that would not work there, or that holds a secret.
    """
    checks.require_portable(config, options.target)
    checks.require_no_secret(checks.strings(dataclasses.asdict(config)))
    checks.require_no_secret(checks.with_values(config.beam_args))
    checks.require_no_secret(checks.strings(dataclasses.asdict(options)))
    if config.deployment and config.deployment.accelerator:
        from pipeline.remote import worker_pools  # imports Google's client

        worker_pools.require_accelerator("--serving", config.deployment.accelerator)
    config = dataclasses.replace(
        config,
        fingerprints=fingerprints.fingerprint_offline(config),
        fingerprint_data=True,
        # "resolver not implemented yet", says the server of Kubeflow Pipelines v2. The queries of
        # TFX for Vertex AI name a type of artifact and no pipeline.
        history=METADATA if options.target == "kfp-v1" else FILES,
    )
    pipeline = create_pipeline(config)
    resources = _resources(pipeline, options)
    for step in (TRAINER, TUNER):
        if step in resources:
            resources[step] = dataclasses.replace(
                resources[step], environment=config.training_environment
            )
    parameters = add_parameters(pipeline, config, options.target)
    if options.machines:
        resources |= _train_on_machines(pipeline, resources, options.machines)
    if options.target == "kfp-v1":
        return kfp_v1.compile_workflow(pipeline, resources, options.secrets, options.volumes)
    for step in _READ_FOLDERS:
        resources[step] = dataclasses.replace(resources[step], cache=False)
    job = kfp_v2.compile_job(pipeline, resources, parameters)
    if options.target == "vertex":
        return json.dumps(job, indent=2, sort_keys=True)
    platform = kfp_v2.platform_spec(resources, options.secrets, options.volumes)
    documents = filter(None, [job["pipelineSpec"], platform])
    return yaml.safe_dump_all(documents, sort_keys=True, width=10_000)


def _train_on_machines(
    pipeline: Pipeline, resources: Mapping[str, StepResources], machines: Mapping[str, object]
) -> dict[str, StepResources]:
    """Returns what the own containers of the steps that train get: little, they only wait."""
    from pipeline.remote import worker_pools  # imports Google's client

    pools = worker_pools.WorkerPools(**machines)
    image = next(iter(resources.values())).image
    found = {}
    for node in pipeline.components:
        if node.id in (TRAINER, TUNER):
            step = resources[node.id]
            name = f"{pipeline.pipeline_info.pipeline_name}-{node.id.lower()}"
            worker_pools.train_on(pools, node, step, name)
            found[node.id] = dataclasses.replace(
                step, image=image, cpu="1", memory="4Gi", accelerator=None
            )
    return found


def _resources(pipeline: Pipeline, options: Options) -> dict[str, StepResources]:
    """What the steps get; their options for Beam are given to the graph."""
    nodes = [node for node in pipeline.components if not isinstance(node, Resolver)]
    on_beam = {node.id: node for node in nodes if isinstance(node, BaseBeamComponent)}
    resources = make_resources(
        [node.id for node in nodes], on_beam, options.image, options.train_image, options.steps
    )
    selecting = [step for step, given in resources.items() if given.node_selector]
    if selecting and options.target == "vertex":
        raise ValueError(
            f"--step {selecting[0]}.node_selector must be given for Kubeflow only; Vertex AI has "
            "no nodes to select. Use --machine-type, or an accelerator of the step."
        )
    for step, node in on_beam.items():
        if resources[step].beam:
            node.with_beam_pipeline_args(resources[step].beam)
    return resources
