# SPDX-License-Identifier: Apache-2.0
"""Starts a run of a compiled pipeline: `python kubeflow/submit.py pets.yaml --host=URL`."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import shlex
import sys
from collections.abc import Iterator, Mapping

import click
import yaml

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))  # components and pipeline

from mixer_tf import storage
from mixer_tf.messages import clear_message, did_you_mean
from mixer_tf.recipes.schema import Recipe
from pipeline.remote import checks

TOKEN = "KFP_TOKEN"
_SECONDS = 60
_ROOTS = ("pipeline-root", "pipeline_root")

_HELP = f"""Starts a run of a file that `python -m pipeline.kubeflow_runner` wrote.

Kubeflow Pipelines takes --host, and a bearer token from the environment variable {TOKEN} where it
needs one. Vertex AI takes --project and --region, and Google's default credentials.

\b
Examples:
  python kubeflow/submit.py pets.yaml --host=http://localhost:8080 --dry-run
  python kubeflow/submit.py pets.yaml --host=… --source=folder:gs://data/new-pets \\
      --set training.epochs=30
  python kubeflow/submit.py pets.json --project=my-project --region=europe-west4
"""


@dataclasses.dataclass(frozen=True)
class Compiled:
    """A compiled file.

    Attributes:
        target: "kfp-v1", "kfp-v2" or "vertex".
        document: the workflow, the pipeline spec or the pipeline job.
        platform: what only Kubernetes understands, of a kfp-v2 file; may be empty.
    """

    target: str
    document: dict
    platform: dict

    @classmethod
    def read(cls, path: str) -> Compiled:
        """Reads a file.

        Raises:
            ValueError: the file was not written by `pipeline.kubeflow_runner`.
        """
        text = pathlib.Path(path).read_text(encoding="utf-8")
        try:
            documents = list(yaml.safe_load_all(text))
        except yaml.YAMLError as error:
            raise ValueError(f"{path} is neither YAML nor JSON: {error}") from None
        document = documents[0] if documents and isinstance(documents[0], dict) else {}
        platform = documents[1] if len(documents) > 1 else {}
        for target, field in (("kfp-v1", "spec"), ("vertex", "pipelineSpec"), ("kfp-v2", "root")):
            if field in document:
                return cls(target, document, platform)
        raise ValueError(
            f"{path} must be a compiled pipeline; it has none of the fields spec, pipelineSpec and "
            "root. Write it with python -m pipeline.kubeflow_runner."
        )

    @property
    def name(self) -> str:
        if self.target == "kfp-v1":
            return self.document["metadata"]["generateName"].rstrip("-")
        return self._spec["pipelineInfo"]["name"]

    @property
    def parameters(self) -> dict[str, str]:
        """Name of each run-time parameter → its default."""
        if self.target == "kfp-v1":
            given = self.document["spec"]["arguments"]["parameters"]
            return {parameter["name"]: parameter["value"] for parameter in given}
        declared = self._spec["root"]["inputDefinitions"]["parameters"]
        return {name: parameter["defaultValue"] for name, parameter in declared.items()}

    @property
    def trainer_config(self) -> dict:
        """The custom_config of the Trainer."""
        return next(
            json.loads(text)
            for text in checks.strings(list(self._graphs()))
            if text.startswith("{") and '"recipe"' in text
        )

    @property
    def recipe(self) -> Recipe:
        """The recipe that the file was compiled with."""
        return Recipe.from_json(self.trainer_config["recipe"])

    @property
    def _spec(self) -> dict:
        return self.document.get("pipelineSpec", self.document)

    def _graphs(self) -> Iterator[dict]:
        """Where the parameters of the steps are."""
        if self.target != "kfp-v1":
            yield self._spec["root"]["dag"]["tasks"]["Trainer"]
            return
        for template in self.document["spec"]["templates"]:
            if template["name"] == "trainer":
                arguments = template["container"]["args"]
                yield json.loads(arguments[arguments.index("--tfx_ir") + 1])["nodes"]


@dataclasses.dataclass(frozen=True)
class Run:
    """What to start, as it was asked for.

    Attributes:
        name: the name of the run.
        values: name of each run-time parameter → its value.
        experiment: id of an experiment of Kubeflow; None for the default one.
        service_account: the account of the steps; None for the default one.
    """

    name: str
    values: Mapping[str, str]
    experiment: str | None = None
    service_account: str | None = None

    @property
    def root(self) -> str:
        return next(self.values[name] for name in _ROOTS if name in self.values)


def choose_values(compiled: Compiled, options: dict) -> dict[str, str]:
    """Returns the value of each run-time parameter: the one that was given, or the default.

    Raises:
        ValueError: an unknown parameter, a field that the recipe does not have, or a secret.
    """
    values = dict(compiled.parameters)
    given = dict(_split(text) for text in options["parameters"])
    root = next(name for name in _ROOTS if name in values)
    shorthand = {"source": options["source"], root: options["root"]}
    if options["overrides"]:
        shorthand["overrides"] = shlex.join(options["overrides"])
    given |= {name: value for name, value in shorthand.items() if value}
    for name in given:
        if name not in values:
            hint = did_you_mean(name, values, most=1)
            raise ValueError(
                f"the file has no run-time parameter {name!r}.{hint} It has {', '.join(values)}."
            )
    compiled.recipe.override(shlex.split(given.get("overrides", "")))
    checks.require_no_secret(given.values())
    values |= given
    checks.require_source("--source", values["source"])
    checks.require_root(values[root], compiled.target)
    return values


def _split(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--param must be NAME=VALUE; got {text!r}.")
    return name, value


# --- Kubeflow Pipelines --------------------------------------------------------------------------


def kfp_request(compiled: Compiled, run: Run, host: str) -> dict:
    """Returns the request to the server: method, URL and body."""
    body = _v1_body(compiled, run) if compiled.target == "kfp-v1" else _v2_body(compiled, run)
    version = {"kfp-v1": "v1beta1", "kfp-v2": "v2beta1"}[compiled.target]
    return {"method": "POST", "url": f"{host.rstrip('/')}/apis/{version}/runs", "body": body}


def _v1_body(compiled: Compiled, run: Run) -> dict:
    body = {
        "name": run.name,
        "pipeline_spec": {
            "workflow_manifest": json.dumps(compiled.document),
            "parameters": [{"name": name, "value": value} for name, value in run.values.items()],
        },
    }
    if run.experiment:
        key = {"type": "EXPERIMENT", "id": run.experiment}
        body["resource_references"] = [{"key": key, "relationship": "OWNER"}]
    return body | ({"service_account": run.service_account} if run.service_account else {})


def _v2_body(compiled: Compiled, run: Run) -> dict:
    spec = compiled.document
    if compiled.platform:
        spec = {"pipeline_spec": spec, "platform_spec": compiled.platform}
    body = {
        "display_name": run.name,
        "pipeline_spec": spec,
        "runtime_config": {"parameters": dict(run.values), "pipeline_root": run.root},
    }
    optional = {"experiment_id": run.experiment, "service_account": run.service_account}
    return body | {name: value for name, value in optional.items() if value}


def send_to_kfp(request: dict) -> str:
    """Sends the request, and returns the id of the run.

    Raises:
        OSError: the server cannot be reached, or refuses the run.
    """
    import requests

    token = os.environ.get(TOKEN)
    response = requests.request(
        request["method"],
        request["url"],
        json=request["body"],
        headers={"Authorization": f"Bearer {token}"} if token else {},
        timeout=_SECONDS,
    )
    if not response.ok:
        raise OSError(
            f"{request['url']} answered {response.status_code}: {response.text.strip()[:500]}"
        )
    answer = response.json()
    return answer.get("run_id") or answer.get("run", {}).get("id", "")


# --- Vertex AI -----------------------------------------------------------------------------------


def vertex_request(compiled: Compiled, run: Run, project: str, region: str):
    """Returns Vertex AI's own CreatePipelineJobRequest."""
    from google.cloud import aiplatform_v1

    job = compiled.document
    return aiplatform_v1.CreatePipelineJobRequest(
        parent=f"projects/{project}/locations/{region}",
        pipeline_job_id=run.name,
        pipeline_job=aiplatform_v1.PipelineJob(
            display_name=run.name,
            pipeline_spec=job["pipelineSpec"],
            runtime_config=aiplatform_v1.PipelineJob.RuntimeConfig(
                gcs_output_directory=run.root, parameter_values=dict(run.values)
            ),
            labels=job.get("labels", {}),
            service_account=run.service_account or "",
        ),
    )


def made_later(compiled: Compiled, run: Run) -> dict[str, object]:
    """Returns what steps of the run will send to Vertex AI themselves, as far as it is known now.

    "VERSION" and "MODEL" stand for what the run finds out, the command of the containers is TFX's.
    """
    from google.cloud import aiplatform_v1 as vertex

    from components.endpoint_deployer import requests
    from components.endpoint_deployer.deployment import Deployment

    made = {}
    training = compiled.trainer_config.get("ai_platform_training_args")
    if training:
        job = {name: value for name, value in training.items() if name != "project"}
        made["CreateCustomJob"] = to_json(
            vertex.CreateCustomJobRequest(
                parent=f"projects/{training['project']}/locations/"
                f"{compiled.trainer_config['ai_platform_vertex_region']}",
                custom_job=vertex.CustomJob(job),
            )
        )
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
    return made


def to_json(message) -> dict:
    """Returns one of Vertex AI's messages as JSON, without what is not set."""
    text = type(message).to_json(
        message, use_integers_for_enums=False, including_default_value_fields=False
    )
    return json.loads(text)


def vertex_client(region: str):
    """Returns a client with Google's default credentials."""
    from google.cloud import aiplatform_v1

    options = {"api_endpoint": f"{region}-aiplatform.googleapis.com"}
    return aiplatform_v1.PipelineServiceClient(client_options=options)


def send_to_vertex(request, region: str) -> str:
    """Sends the request, and returns the resource name of the job."""
    return vertex_client(region).create_pipeline_job(request=request).name


# --- The command ---------------------------------------------------------------------------------


@click.command(help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--host", metavar="URL", help="The server of Kubeflow Pipelines.")
@click.option("--project", help="The project of Google Cloud.")
@click.option("--region", help="The region of Vertex AI, such as europe-west4.")
@click.option("--name", help="Name of the run. Default: made from the pipeline and the time.")
@click.option("--root", metavar="PATH", help="Another folder or bucket for all output.")
@click.option("--source", metavar="SOURCE", help="Another source of images.")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Change one field of the recipe. May be repeated.",
)
@click.option(
    "--param",
    "parameters",
    multiple=True,
    metavar="NAME=VALUE",
    help="Any run-time parameter of the file. May be repeated.",
)
@click.option("--experiment", metavar="ID", help="Id of an experiment of Kubeflow.")
@click.option("--service-account", metavar="ACCOUNT", help="The account of the steps.")
@click.option("--dry-run", is_flag=True, help="Print exactly what would be sent; send nothing.")
def main(file: str, **options) -> None:
    """Starts a run; every error is one clear line."""
    try:
        compiled = Compiled.read(file)
        run = Run(
            options["name"] or _default_name(compiled.name),
            choose_values(compiled, options),
            options["experiment"],
            options["service_account"],
        )
        submit = _submit_to_vertex if compiled.target == "vertex" else _submit_to_kfp
        print(submit(compiled, run, options))
    except Exception as error:
        print(f"Error: {clear_message(error)}", file=sys.stderr)
        sys.exit(1)


def _submit_to_kfp(compiled: Compiled, run: Run, options: dict) -> str:
    _require(compiled.target, options, "host")
    request = kfp_request(compiled, run, options["host"])
    if options["dry_run"]:
        return json.dumps(request, indent=2)
    return f"{options['host'].rstrip('/')}/#/runs/details/{send_to_kfp(request)}"


def _submit_to_vertex(compiled: Compiled, run: Run, options: dict) -> str:
    _require(compiled.target, options, "project", "region")
    request = vertex_request(compiled, run, options["project"], options["region"])
    if options["dry_run"]:
        method = "google.cloud.aiplatform.v1.PipelineService/CreatePipelineJob"
        printed = {"method": method, "request": to_json(request)}
        later = made_later(compiled, run)
        return json.dumps(printed | ({"made by steps": later} if later else {}), indent=2)
    return send_to_vertex(request, options["region"])


def _require(target: str, options: dict, *names: str) -> None:
    missing = [f"--{name}" for name in names if not options[name]]
    if missing:
        raise ValueError(f"a file for {target} requires {' and '.join(missing)}.")


def _default_name(pipeline: str) -> str:
    import datetime

    return f"{pipeline}-{datetime.datetime.now():%Y%m%d-%H%M%S}"


if __name__ == "__main__":
    main()
