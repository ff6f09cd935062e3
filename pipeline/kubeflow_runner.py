# SPDX-License-Identifier: Apache-2.0
"""Compiles the pipeline for a cluster: `python -m pipeline.kubeflow_runner --target=kfp-v2 …`."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Sequence

import click

from mixer_tf import console, storage
from mixer_tf.messages import clear_message
from pipeline.options import make_config, pipeline_options, sources_help
from pipeline.remote import vertex_options
from pipeline.remote.checks import TARGETS

_HELP = f"""Writes the pipeline as a file for Kubeflow Pipelines or Vertex AI.

It works offline: no source, bucket or cluster is contacted, and no credentials are needed.
`kubeflow/submit.py` starts a run of the file, with another source, other recipe fields or another
root if wanted.

SOURCE is one of

\b
{sources_help()}
Paths are those of the cluster: URLs such as gs://BUCKET/PATH, or absolute paths in the image or on
a volume. --root has no default here.

\b
Examples:
  python -m pipeline.kubeflow_runner --target=kfp-v2 --output=pets.yaml \\
      --source=folder:gs://data/pets --root=gs://data/runs/pets --image=registry/mixer-tf:beam
  python -m pipeline.kubeflow_runner --target=vertex --output=pets.json … \\
      --train-image=registry/mixer-tf:train-gpu --step Trainer.accelerator=NVIDIA_L4:1
"""

_SETTINGS = {
    "help_option_names": ["-h", "--help"],
    "max_content_width": 100,
    "show_default": True,
}


@click.command(help=_HELP, context_settings=_SETTINGS)
@click.option(
    "--target",
    type=click.Choice(TARGETS),
    required=True,
    help="Kubeflow Pipelines v1 or v2, or Vertex AI Pipelines.",
)
@click.option(
    "--output",
    required=True,
    metavar="FILE",
    help="The file to write: YAML for Kubeflow, JSON for Vertex AI.",
)
@pipeline_options
@click.option("--image", required=True, metavar="IMAGE", help="Container image of all steps.")
@click.option(
    "--train-image",
    metavar="IMAGE",
    help="Container image of the Trainer and the Tuner, for a GPU or TPU. Default: --image.",
    show_default=False,
)
@click.option(
    "--step",
    "steps",
    multiple=True,
    metavar="STEP.FIELD=VALUE",
    help="Change what a step gets: image, cpu, memory, accelerator, node_selector, retries, "
    "timeout (seconds), cache or beam. May be repeated.",
)
@click.option(
    "--serving-dir",
    metavar="PATH",
    help="Folder to which models are pushed. Default: serving, below the root.",
    show_default=False,
)
@click.option(
    "--secret",
    "secrets",
    multiple=True,
    metavar="NAME",
    help="Kubernetes secret whose keys become environment variables of every step; for kfp-v2 "
    "NAME/KEY. May be repeated.",
)
@click.option(
    "--volume",
    "volumes",
    multiple=True,
    metavar="CLAIM:PATH",
    help="Kubernetes volume, by its claim, and its path in every step. May be repeated, with "
    "another claim and path.",
)
@click.option("--project", help="Vertex AI: the project of Google Cloud.")
@click.option("--region", help="Vertex AI: the region, such as europe-west4.")
@click.option(
    "--machine-type",
    metavar="NAME",
    help="Vertex AI: train on machines of this type, such as g2-standard-24 or cloud-tpu, as a "
    "custom job; its accelerator is that of --step Trainer.accelerator. Default: train in the "
    "container of the step.",
    show_default=False,
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    help="Vertex AI: number of machines that train together; requires --machine-type.",
)
@click.option(
    "--service-account", metavar="ACCOUNT", help="Vertex AI: the account of the custom job."
)
@click.option(
    "--endpoint",
    metavar="NAME",
    help="Vertex AI: register each pushed model, and serve it on the endpoint of this name.",
)
@click.option(
    "--traffic",
    type=click.IntRange(0, 100),
    default=100,
    help="Vertex AI: percentage of the endpoint's traffic for a new model; the models that are "
    "served already share the rest.",
)
@click.option(
    "--serving",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Vertex AI: how the endpoint serves: serving_image, machine_type, accelerator, "
    "accelerator_count, min_replicas or max_replicas. May be repeated.",
)
@click.option("--verbose", is_flag=True, help="Also show the messages of the libraries.")
def main(**options) -> None:
    """Writes the file; every error is one clear line, unless --verbose is given."""
    if not options["verbose"]:
        console.silence_libraries()
    try:
        _run(options)
    except Exception as error:
        if options["verbose"]:
            raise
        print(f"Error: {clear_message(error)}", file=sys.stderr)
        sys.exit(1)


def _run(options: dict) -> None:
    machines = vertex_options.machines(options)
    if not options["root"]:
        raise ValueError("--root must be given: the folder or bucket for all output of the runs.")
    config = make_config(options, options["root"].rstrip("/"))
    if options["serving_dir"]:
        config = dataclasses.replace(config, serving_dir=options["serving_dir"])
    config = dataclasses.replace(config, deployment=vertex_options.deployment(options, config.name))
    from pipeline.remote import compilation  # imports TFX, which takes seconds

    text = compilation.compile_pipeline(
        config,
        compilation.Options(
            target=options["target"],
            image=options["image"],
            train_image=options["train_image"],
            steps=options["steps"],
            secrets=options["secrets"],
            volumes=_volumes(options["volumes"]),
            machines=machines,
        ),
    )
    path = os.path.abspath(options["output"])
    storage.make_folder(os.path.dirname(path))
    storage.write_text(path, text)
    print(f"{console.short_path(path)}: {config.name} for {options['target']}")


def _volumes(texts: Sequence[str]) -> dict[str, str]:
    """Returns claim → path."""
    found: dict[str, str] = {}
    for text in texts:
        claim, _, path = text.partition(":")
        if not (claim and path.startswith("/")):
            raise ValueError(f"--volume must be CLAIM:PATH with an absolute path; got {text!r}.")
        if claim in found or path in found.values():
            raise ValueError(
                "--volume must name each claim and each path once; got "
                f"{', '.join(texts)}. Mount a claim at the folder that has all you need."
            )
        found[claim] = path
    return found


if __name__ == "__main__":
    main()
