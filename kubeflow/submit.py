# SPDX-License-Identifier: Apache-2.0
"""Starts a run of a compiled pipeline: `python kubeflow/submit.py pets.yaml --host=URL`."""

from __future__ import annotations

import datetime
import json
import pathlib
import sys

import click

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))  # components and pipeline

from mixer_tf import console
from mixer_tf.messages import clear_message
from pipeline.remote import checks, kfp_server, schedules
from pipeline.remote.compiled import Compiled, Run, choose_values

_HELP = f"""Starts a run of a file that `python -m pipeline.kubeflow_runner` wrote.

Kubeflow Pipelines takes --host, and a bearer token from the environment variable
{kfp_server.TOKEN} where it needs one. Vertex AI takes --project and --region, and Google's
default credentials.

\b
Examples:
  python kubeflow/submit.py pets.yaml --host=http://localhost:8080 --dry-run
  python kubeflow/submit.py pets.yaml --host=… --source=folder:gs://data/new-pets \\
      --set training.epochs=30
  python kubeflow/submit.py pets.json --project=my-project --region=europe-west4
  python kubeflow/submit.py pets.yaml --host=… --schedule='0 3 * * *'
"""


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
@click.option(
    "--schedule",
    metavar="CRON",
    help="Start runs again and again instead, such as '0 3 * * 1' for each Monday at 3:00 UTC. Two "
    "runs never overlap.",
)
@click.option("--dry-run", is_flag=True, help="Print exactly what would be sent; send nothing.")
@click.option("--verbose", is_flag=True, help="Also show the messages of the libraries.")
def main(file: str, **options) -> None:
    """Starts a run; every error is one clear line, unless --verbose is given."""
    if not options["verbose"]:
        console.silence_libraries()
    try:
        compiled = Compiled.read(file)
        checks.require_no_secret(text for text in options.values() if isinstance(text, str))
        if options["schedule"]:
            options["schedule"] = schedules.require_cron(options["schedule"])
        run = Run(
            options["name"] or _default_name(compiled.name),
            choose_values(compiled, options),
            options["experiment"],
            options["service_account"],
        )
        submit = _submit_to_vertex if compiled.target == "vertex" else _submit_to_kfp
        print(submit(compiled, run, options))
    except Exception as error:
        if options["verbose"]:
            raise
        print(f"Error: {clear_message(error)}", file=sys.stderr)
        sys.exit(1)


def _submit_to_kfp(compiled: Compiled, run: Run, options: dict) -> str:
    _require(compiled.target, options, "host")
    request = kfp_server.make_request(compiled, run, options["host"])
    if options["schedule"]:
        request = schedules.kfp_request(request, compiled.target, options["schedule"])
    if options["dry_run"]:
        return json.dumps(request, indent=2)
    page = "recurringrun" if options["schedule"] else "runs"
    return f"{options['host'].rstrip('/')}/#/{page}/details/{kfp_server.send(request)}"


def _submit_to_vertex(compiled: Compiled, run: Run, options: dict) -> str:
    _require(compiled.target, options, "project", "region")
    from pipeline.remote import vertex_service  # imports Google's client

    request = vertex_service.make_request(compiled, run, options["project"], options["region"])
    method = "google.cloud.aiplatform.v1.PipelineService/CreatePipelineJob"
    if options["schedule"]:
        request = vertex_service.make_schedule(request, options["schedule"])
        method = "google.cloud.aiplatform.v1.ScheduleService/CreateSchedule"
    if options["dry_run"]:
        printed = {"method": method, "request": vertex_service.to_json(request)}
        later = vertex_service.made_later(compiled, run)
        return json.dumps(printed | ({"made by steps": later} if later else {}), indent=2)
    return vertex_service.send(request, options["region"])


def _require(target: str, options: dict, *names: str) -> None:
    missing = [f"--{name}" for name in names if not options[name]]
    if missing:
        raise ValueError(f"a file for {target} requires {' and '.join(missing)}.")


def _default_name(pipeline: str) -> str:
    return f"{pipeline}-{datetime.datetime.now():%Y%m%d-%H%M%S}"


if __name__ == "__main__":
    main()
