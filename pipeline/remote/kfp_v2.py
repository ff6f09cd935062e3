# SPDX-License-Identifier: Apache-2.0
"""Compiles the graph for Kubeflow Pipelines v2 (YAML) and Vertex AI (JSON): one pipeline spec."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2
from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner
from tfx.orchestration.pipeline import Pipeline

from pipeline.resources import StepResources, parse_cpu, parse_memory

_GB = 1e9  # the unit of memory in a pipeline spec


def compile_job(
    pipeline: Pipeline,
    resources: Mapping[str, StepResources],
    parameters: Mapping[str, str],
) -> dict:
    """Returns a PipelineJob: the pipeline spec, and the default of each parameter.

    Args:
        pipeline: the graph with its run-time parameters.
        resources: what each step gets.
        parameters: name of each run-time parameter → its default.
    """
    runner = kubeflow_v2_dag_runner.KubeflowV2DagRunner(
        config=kubeflow_v2_dag_runner.KubeflowV2DagRunnerConfig(
            default_image=next(iter(resources.values())).image, use_pipeline_spec_2_1=True
        )
    )
    job = runner.run(pipeline, parameter_values=dict(parameters), write_out=False)
    spec = job["pipelineSpec"]
    _set_defaults(spec, parameters)
    _mend_producers(spec)
    for step, given in resources.items():
        _configure(spec, step, given)
    _require_valid(job)
    return job


def platform_spec(
    resources: Mapping[str, StepResources],
    secrets: Sequence[str] = (),
    volumes: Mapping[str, str] | None = None,
) -> dict:
    """Returns what only Kubernetes understands, in the form of kfp-kubernetes; may be empty.

    Args:
        resources: what each step gets.
        secrets: names of Kubernetes secrets whose keys become environment variables of the steps.
            KFP v2 takes single keys: "NAME/KEY", which sets the variable KEY.
        volumes: name of a claim of a persistent volume → where every step finds it.
    """
    executors = {}
    for step, given in resources.items():
        options = {}
        if given.node_selector:
            options["nodeSelector"] = {"labels": dict(given.node_selector)}
        if secrets:
            options["secretAsEnv"] = list(_secrets_as_env(secrets))
        if volumes:
            options["pvcMount"] = [
                {"constant": claim, "mountPath": path} for claim, path in volumes.items()
            ]
        if options:
            executors[_executor(step)] = options
    if not executors:
        return {}
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}}


def _secrets_as_env(secrets: Sequence[str]) -> Iterator[dict]:
    for secret in secrets:
        name, _, key = secret.partition("/")
        if not key:
            raise ValueError(
                f"Kubeflow Pipelines v2 takes a secret as NAME/KEY, one key at a time; got "
                f"{secret!r}. Give --secret={secret}/KEY for each key."
            )
        yield {"secretName": name, "keyToEnv": [{"secretKey": key, "envVar": key}]}


def _executor(step: str) -> str:
    return f"{step}_executor"


def _set_defaults(spec: dict, parameters: Mapping[str, str]) -> None:
    """TFX leaves the defaults out, and Kubeflow then asks for each value."""
    declared = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    for name, value in parameters.items():
        declared[name]["defaultValue"] = value


def _mend_producers(spec: dict) -> None:
    """TFX writes "STEP_task" as the producer of a value, although the task is called STEP."""
    tasks = spec["root"]["dag"]["tasks"]
    for task in tasks.values():
        for parameter in task.get("inputs", {}).get("parameters", {}).values():
            produced = parameter.get("taskOutputParameter")
            if produced and produced["producerTask"] not in tasks:
                produced["producerTask"] = produced["producerTask"].removesuffix("_task")


def _configure(spec: dict, step: str, given: StepResources) -> None:
    task = spec["root"]["dag"]["tasks"][step]
    if not given.cache:
        task.pop("cachingOptions", None)
    if given.retries:
        task["retryPolicy"] = {"maxRetryCount": given.retries}
    container = spec["deploymentSpec"]["executors"][_executor(step)]["container"]
    container["image"] = given.image
    if given.environment:
        variables = given.environment.items()
        container["env"] = [{"name": name, "value": value} for name, value in variables]
    if given.timeout:  # a pipeline spec has no timeout of a step
        container["command"] = ["timeout", str(given.timeout), *container["command"]]
    container["resources"] = {
        "cpuLimit": parse_cpu(given.cpu),
        "memoryLimit": parse_memory(given.memory) / _GB,
    }
    if given.accelerator:
        container["resources"]["accelerator"] = {
            "type": given.accelerator,
            "count": str(given.accelerator_count),
        }


def _require_valid(job: dict) -> None:
    """Raises ParseError where kfp-pipeline-spec does not know a field."""
    json_format.ParseDict(job, pipeline_spec_pb2.PipelineJob())
    json_format.ParseDict(job["pipelineSpec"], pipeline_spec_pb2.PipelineSpec())
    deployment = job["pipelineSpec"]["deploymentSpec"]
    json_format.ParseDict(deployment, pipeline_spec_pb2.PipelineDeploymentConfig())
