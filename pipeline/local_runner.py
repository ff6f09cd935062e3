# SPDX-License-Identifier: Apache-2.0
"""Runs the pipeline on this machine: `python -m pipeline.local_runner --source=folder:PATH`."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import shlex
import sys

import click

from mixer_tf import console
from mixer_tf.messages import clear_message


@click.command(context_settings={"max_content_width": 100, "show_default": True})
@click.option("--source", default="digits", help="Where the images come from; see above.")
@click.option("--data-dir", help="Where prepared TFDS datasets lie.")
@click.option(
    "--recipe",
    help="Model and training; `mixer recipes` lists them. Default: 'digits' "
    "for the digits, 'photos' for all else.",
    show_default=False,
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Changes one field of the recipe, such as optimizer.learning_rate=3e-4. May be repeated.",
)
@click.option(
    "--root", help="Folder for everything the run writes. Default: runs/NAME.", show_default=False
)
@click.option(
    "--name", help="Name of the pipeline. Default: made from the source.", show_default=False
)
@click.option(
    "--downstream-test-sets",
    "test_sets",
    multiple=True,
    metavar="SOURCE",
    help="A source whose images must not be trained on either. May be repeated.",
)
@click.option(
    "--deduplicate-train",
    is_flag=True,
    help="Also keep only one image of each near-duplicate pair within training.",
)
@click.option(
    "--shorter-side",
    type=click.IntRange(min=1),
    metavar="PIXELS",
    help="Reduce larger images to this shorter side, once, before training.",
)
@click.option(
    "--min-accuracy",
    type=click.FloatRange(0, 1),
    help="Top-1 on the test split that a model must reach to be pushed. "
    "Default: better than guessing.",
    show_default=False,
)
@click.option(
    "--max-accuracy-drop",
    type=click.FloatRange(0, 1),
    default=0.01,
    help="How far top-1 may fall below the last blessed model's.",
)
@click.option(
    "--strategy", default="auto", help="auto, default, mirrored, multi_worker, tpu or tpu:NAME."
)
@click.option("--from", "from_step", metavar="STEP", help="First step to run.")
@click.option("--to", "to_step", metavar="STEP", help="Last step to run.")
@click.option("--no-cache", is_flag=True, help="Run every step, whatever was done before.")
@click.option(
    "--beam",
    multiple=True,
    metavar="OPTIONS",
    help="Options for Apache Beam, handed on as they are, such as "
    "'--runner=PortableRunner --job_endpoint=localhost:8099'. May be repeated.",
)
@click.option("--verbose", is_flag=True, help="Show what the libraries have to say as well.")
def main(**options) -> None:
    """Runs the whole pipeline on this machine: from images to a served model.

    SOURCE is one of

    \b
      digits                 1,797 handwritten digits that come with scikit-learn
      folder:PATH            a folder with one sub-folder for each class, with or
                             without train/, val/ and test/ above them
      csv:PATH               a file with the columns path,label
      tfrecord:GLOB          TFRecords of tf.Examples
      tfds:NAME[:CONFIG]     any image-classification dataset of TFDS

    Steps whose inputs and code did not change are taken from the cache. A run that was stopped
    goes on where it was, in the middle of training too.

    \b
    Examples:
      python -m pipeline.local_runner
      python -m pipeline.local_runner --source=folder:~/pets --set training.epochs=30
      python -m pipeline.local_runner --source=folder:~/pets --from=Evaluator
    """
    if not options["verbose"]:
        console.silence_libraries()
    try:
        _run(options)
    except KeyboardInterrupt:
        print("\nStopped; the same command goes on from there.", file=sys.stderr)
        sys.exit(1)
    except Exception as error:
        if options["verbose"]:
            raise
        print(f"\nError: {_one_clear_message(error)}", file=sys.stderr)
        sys.exit(1)


def _run(options: dict) -> None:
    """Runs what the options say, and prints the summary."""
    config = _make_config(options)
    if not (options["root"] or options["name"]):
        _claim(config.root, config.source)
    from pipeline.local import run

    summary = run.run(config, options["from_step"], options["to_step"])
    print()
    print("\n".join(summary.lines()))


def _make_config(options: dict):
    """The configuration that the options stand for, with the defaults that depend on the source."""
    from mixer_tf import recipes
    from mixer_tf.datasets.sources import opening
    from pipeline import configs, fingerprints

    if "://" in (options["root"] or ""):
        raise ValueError(
            f"--root must be a folder of this machine, for ML Metadata lies there as SQLite; "
            f"got {options['root']}."
        )
    source = opening.open_source(options["source"], options["data_dir"])
    recipe = options["recipe"]
    recipe = recipes.get(recipe) if recipe else recipes.default_for(source.spec)
    name = options["name"] or source.name
    min_accuracy = options["min_accuracy"]
    config = configs.PipelineConfig(
        # A blessed model with other classes is no baseline: its labels mean something else.
        name=f"{name}-{_digest(source.class_names)}",
        root=os.path.abspath(os.path.expanduser(options["root"] or os.path.join("runs", name))),
        source=source.spec,
        recipe=recipe.override(options["overrides"]),
        data_dir=options["data_dir"],
        downstream_test_sets=options["test_sets"],
        deduplicate_train=options["deduplicate_train"],
        shorter_side=options["shorter_side"],
        min_accuracy=1 / len(source.class_names) if min_accuracy is None else min_accuracy,
        max_accuracy_drop=options["max_accuracy_drop"],
        strategy=options["strategy"],
        beam_args=_beam_args(options["beam"]),
        enable_cache=not options["no_cache"],
    )
    return dataclasses.replace(config, fingerprints=fingerprints.fingerprint_run(config))


def _claim(root: str, source: str) -> None:
    """Two sources may have the same last word, and so the same default root."""
    path = os.path.join(root, "source.txt")
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            owner = file.read()
        if owner != source:
            raise ValueError(
                f"a root must hold the runs of one source; {console.short_path(root)} is that of "
                f"{owner}, not of {source}. Give this one a --name of its own."
            )
        return
    os.makedirs(root, exist_ok=True)
    with open(path + ".partial", "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(source)
    os.replace(path + ".partial", path)


def _digest(class_names: tuple[str, ...]) -> str:
    return hashlib.sha256(json.dumps(class_names).encode()).hexdigest()[:8]


def _beam_args(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(argument for value in values for argument in shlex.split(value))


def _one_clear_message(error: BaseException) -> str:
    """The message of the first cause, without what Beam adds to it."""
    from pipeline.local.progress import StepError

    step = f"{error.node_id}: " if isinstance(error, StepError) else ""
    cause = error.__cause__ if isinstance(error, StepError) else error
    return step + re.sub(r"\s*\[while running .*", "", clear_message(cause), flags=re.DOTALL)


if __name__ == "__main__":
    main()
