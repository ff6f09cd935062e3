# SPDX-License-Identifier: Apache-2.0
"""The request that starts a run on Vertex AI, and those that its steps will send."""

from __future__ import annotations

import json

from google.cloud import aiplatform_v1 as vertex

from components.endpoint_deployer import requests
from components.endpoint_deployer.deployment import Deployment
from mixer_tf import storage
from pipeline.remote.compiled import Compiled, Run


def make_request(
    compiled: Compiled, run: Run, project: str, region: str
) -> vertex.CreatePipelineJobRequest:
    """Returns Vertex AI's own CreatePipelineJobRequest."""
    job = compiled.document
    return vertex.CreatePipelineJobRequest(
        parent=f"projects/{project}/locations/{region}",
        pipeline_job_id=run.name,
        pipeline_job=vertex.PipelineJob(
            display_name=run.name,
            pipeline_spec=job["pipelineSpec"],
            runtime_config=vertex.PipelineJob.RuntimeConfig(
                gcs_output_directory=run.root, parameter_values=dict(run.values)
            ),
            labels=job.get("labels", {}),
            service_account=run.service_account or "",
        ),
    )


def make_schedule(
    request: vertex.CreatePipelineJobRequest, cron: str
) -> vertex.CreateScheduleRequest:
    """Returns Vertex AI's own CreateScheduleRequest; runs never overlap.

    Args:
        request: the request for a single run; Vertex AI makes up the id of each run.
        cron: a cron expression of five fields, in UTC.
    """
    job = request.pipeline_job
    single = vertex.CreatePipelineJobRequest(parent=request.parent, pipeline_job=job)
    return vertex.CreateScheduleRequest(
        parent=request.parent,
        schedule=vertex.Schedule(
            display_name=job.display_name,
            cron=cron,
            max_concurrent_run_count=1,
            create_pipeline_job_request=single,
        ),
    )


def _create_custom_job(config: dict) -> vertex.CreateCustomJobRequest:
    """The request of a step with this custom_config."""
    training, region = config["ai_platform_training_args"], config["ai_platform_vertex_region"]
    job = {name: value for name, value in training.items() if name != "project"}
    return vertex.CreateCustomJobRequest(
        parent=f"projects/{training['project']}/locations/{region}",
        custom_job=vertex.CustomJob(job),
    )


def made_later(compiled: Compiled, run: Run) -> dict[str, object]:
    """Returns what steps of the run will send to Vertex AI themselves, as far as it is known now.

    "VERSION" and "MODEL" stand for what the run finds out, the command of the containers is TFX's.
    """
    made = {}
    configs = {"CreateCustomJob": compiled.trainer_config}
    if compiled.tuner_config:
        configs = {"CreateCustomJob of the Tuner": compiled.tuner_config, **configs}
    for name, config in configs.items():
        if "ai_platform_training_args" in config:
            made[name] = to_json(_create_custom_job(config))
    deployer = compiled.document["pipelineSpec"]["root"]["dag"]["tasks"].get("EndpointDeployer")
    if deployer:
        text = deployer["inputs"]["parameters"]["deployment"]["runtimeValue"]["constant"]
        deployment = Deployment(**json.loads(text))
        folder = storage.resolve(run.root, run.values["serving_dir"])
        upload = requests.upload_model(deployment, f"{folder}/VERSION", "VERSION", "MODEL")
        made["UploadModel"] = to_json(upload)
        made["CreateEndpoint"] = to_json(requests.create_endpoint(deployment))
        endpoint = vertex.Endpoint(name="ENDPOINT", traffic_split={"PREVIOUS": 100})
        deploy = requests.deploy_model(deployment, endpoint, "MODEL@VERSION")
        made["DeployModel"] = to_json(deploy)
        for undeploy in _undeploy_previous(deployment):
            made["UndeployModel"] = to_json(undeploy)
    return made


def _undeploy_previous(deployment: Deployment) -> list[vertex.UndeployModelRequest]:
    """Returns what is sent where one other version is served; none if that keeps some traffic."""
    split = requests.split_traffic({"PREVIOUS": 100}, deployment.traffic)
    previous = vertex.DeployedModel(id="PREVIOUS", model="MODEL", model_version_id="PREVIOUS")
    endpoint = vertex.Endpoint(
        name="ENDPOINT", deployed_models=[previous], traffic_split={"PREVIOUS": split["PREVIOUS"]}
    )
    return requests.undeploy_models(endpoint, "MODEL@VERSION")


def to_json(message) -> dict:
    """Returns one of Vertex AI's messages as JSON, without what is not set."""
    text = type(message).to_json(
        message, use_integers_for_enums=False, including_default_value_fields=False
    )
    return json.loads(text)


def client(region: str, kind: type = vertex.PipelineServiceClient):
    """Returns a client of a service of Vertex AI with Google's default credentials."""
    return kind(client_options={"api_endpoint": f"{region}-aiplatform.googleapis.com"})


def send(
    request: vertex.CreatePipelineJobRequest | vertex.CreateScheduleRequest, region: str
) -> str:
    """Sends the request, and returns the resource name of the job or the schedule."""
    if isinstance(request, vertex.CreateScheduleRequest):
        service = client(region, vertex.ScheduleServiceClient)
        return service.create_schedule(request=request).name
    return client(region).create_pipeline_job(request=request).name
