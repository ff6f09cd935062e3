# SPDX-License-Identifier: Apache-2.0
"""Compiles the graph for Kubeflow Pipelines v1: a workflow of Argo, as YAML."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence

import yaml
from kfp import onprem
from kfp.dsl import ContainerOp
from kubernetes.client import V1EnvFromSource, V1EnvVar, V1SecretEnvSource
from tfx.orchestration.kubeflow import kubeflow_dag_runner
from tfx.orchestration.pipeline import Pipeline
from tfx.proto.orchestration import pipeline_pb2

from mixer_tf import storage
from pipeline.resources import StepResources

# TFX would write it to "/", which only root may.
_UI_FILE = "/tmp/mlpipeline-ui-metadata.json"
# That of kubeflow/Dockerfile.
USER = 10001


def compile_workflow(
    pipeline: Pipeline,
    resources: Mapping[str, StepResources],
    secrets: Sequence[str] = (),
    volumes: Mapping[str, str] | None = None,
) -> str:
    """Returns the workflow as YAML.

    Args:
        pipeline: the graph with its run-time parameters.
        resources: what each step gets; a step that is missing gets what the first one gets.
        secrets: names of Kubernetes secrets whose keys become environment variables of the steps.
        volumes: name of a claim of a persistent volume → where every step finds it.
    """
    config = kubeflow_dag_runner.KubeflowDagRunnerConfig(
        pipeline_operator_funcs=[
            *kubeflow_dag_runner.get_default_pipeline_operator_funcs(),
            *(onprem.mount_pvc(claim, claim, path) for claim, path in (volumes or {}).items()),
            lambda container: _configure(container, resources, secrets),
        ],
        tfx_image=next(iter(resources.values())).image,
        metadata_ui_path=_UI_FILE,
    )
    with tempfile.TemporaryDirectory() as folder:
        runner = _Runner(resources, output_dir=folder, output_filename="w.yaml", config=config)
        runner.run(pipeline)
        workflow = yaml.safe_load(storage.read_text(os.path.join(folder, "w.yaml")))
    if volumes:  # a new claim usually belongs to root, and the images do not run as root
        workflow["spec"]["securityContext"] = {"fsGroup": USER}
    return _reproducible(workflow)


def _reproducible(workflow: dict) -> str:
    """The same workflow without the time, and with the fields of TFX's graph in a fixed order."""
    del workflow["metadata"]["annotations"]["pipelines.kubeflow.org/pipeline_compilation_time"]
    for template in workflow["spec"]["templates"]:
        arguments = template.get("container", {}).get("args", [])
        if "--tfx_ir" in arguments:
            position = arguments.index("--tfx_ir") + 1
            arguments[position] = json.dumps(json.loads(arguments[position]), sort_keys=True)
    return yaml.safe_dump(workflow, sort_keys=True, width=10_000)


class _Runner(kubeflow_dag_runner.KubeflowDagRunner):
    """TFX's runner, with a cache that can be turned off for a single step."""

    def __init__(self, resources: Mapping[str, StepResources], **arguments):
        super().__init__(**arguments)
        self._resources = resources

    def _generate_tfx_ir(self, pipeline: Pipeline) -> pipeline_pb2.Pipeline:
        compiled = super()._generate_tfx_ir(pipeline)
        for node in compiled.nodes:
            step = self._resources.get(node.pipeline_node.node_info.id)
            if step and not step.cache:
                options = node.pipeline_node.execution_options.caching_options
                options.enable_cache = False
        return compiled


def _configure(
    container_op: ContainerOp, resources: Mapping[str, StepResources], secrets: Sequence[str]
) -> None:
    step = resources.get(container_op.human_name)
    if step is None:  # a Resolver, which only asks ML Metadata
        return
    container = container_op.container
    container.image = step.image
    container.set_cpu_request(step.cpu).set_cpu_limit(step.cpu)
    container.set_memory_request(step.memory).set_memory_limit(step.memory)
    if step.accelerator:
        container.add_resource_limit(step.accelerator, str(step.accelerator_count))
    for label, value in step.node_selector.items():
        container_op.add_node_selector_constraint(label, value)
    if step.retries:
        container_op.set_retry(step.retries, policy="Always")  # also where a node was lost
    if step.timeout:
        container_op.set_timeout(step.timeout)
    for name, value in step.environment.items():
        container.add_env_variable(V1EnvVar(name=name, value=value))
    for name in secrets:
        container.add_env_from(V1EnvFromSource(secret_ref=V1SecretEnvSource(name=name)))
