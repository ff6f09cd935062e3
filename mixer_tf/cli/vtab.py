# SPDX-License-Identifier: Apache-2.0
"""`mixer vtab`: fine-tunes a model on the 19 tasks of VTAB-1k."""

from __future__ import annotations

import os
import sys

import click

from mixer_tf import console, storage
from mixer_tf.cli import options
from mixer_tf.cli.command import Command, resumable
from mixer_tf.evaluation.vtab import protocols
from mixer_tf.evaluation.vtab.tasks import GROUPS, TASKS
from mixer_tf.messages import visible
from mixer_tf.training import cluster


@click.command(cls=Command)
@click.argument("model")
@click.option(
    "--tasks",
    metavar="NAMES",
    default=",".join(GROUPS),
    show_default=True,
    help=f"Tasks or groups of them: {', '.join(task.name for task in TASKS)}.",
)
@click.option(
    "--data-dir",
    metavar="PATH",
    help="Where prepared TFDS datasets are stored. Nothing is downloaded.",
)
@options.output_option("A new folder, or that of the same run, which resumes. Default: runs/vtab.")
@click.option(
    "--protocol",
    type=click.Choice(protocols.PROTOCOLS),
    default=protocols.PAPER,
    show_default=True,
    help="paper: the learning rate that is best on 200 of the 1,000 images. bit-hyperrule: the "
    "fixed schedule of BiT-HyperRule, without a selection.",
)
@click.option(
    "--learning-rates",
    metavar="NUMBERS",
    callback=options.numbers_of(minimum=0, kind=float),
    help="The grid of the protocol paper. Default: that of the paper, 0.003,0.01,0.03.",
)
@click.option(
    "--steps",
    metavar="NUMBERS",
    callback=options.numbers_of(minimum=1),
    help="Also choose between these numbers of steps, such as 500,2500. Default: 2500.",
)
@click.option(
    "--seeds",
    metavar="NUMBERS",
    default="0,1,2",
    show_default=True,
    callback=options.numbers_of(minimum=0),
    help="Seeds of the final trainings; the paper averages three.",
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Change one field of every recipe, such as training.batch_size=64. May be repeated.",
)
@click.option(
    "--strategy",
    default="auto",
    show_default=True,
    help="Where to train, on one machine: auto, default, mirrored, tpu or tpu:NAME.",
)
@click.option("--json", "as_json", is_flag=True, help="Print all results as one JSON object.")
def vtab(
    model,
    tasks,
    data_dir,
    output,
    protocol,
    learning_rates,
    steps,
    seeds,
    overrides,
    strategy,
    as_json,
) -> None:
    """Fine-tunes a model on each of the 19 tasks of VTAB-1k, and measures it on the test images.

    MODEL is an export of mixer_tf: a SavedModel, a folder of its versions, the root of a pipeline
    or the output of `mixer train`; or the name of a published model such as mixer_b16_imagenet21k.

    For each task, every combination of the grid is trained on 800 images and measured on 200. The
    best one is trained again on all 1,000, once for each seed, and measured on the whole test set.
    The means are those of the three groups and of all tasks.

    The datasets are those that TFDS has prepared in --data-dir. A task without data is skipped, and
    the way to get them is shown; the mean is then not called VTAB-1k. The same command resumes a
    run that was stopped. OUTPUT/TASK/images.csv lists the 1,000 images of a task, and
    OUTPUT/summary.json has all results.

    \b
    Examples:
      mixer vtab mixer_b16_imagenet21k --data-dir=tfds --output=runs/vtab-b16
      mixer vtab pets-model --tasks=dtd,specialized --seeds=0 --set training.batch_size=64
      mixer vtab pets-model --protocol=bit-hyperrule --output=runs/vtab-bit
    """
    storage.require_literal(output or "", "--output")
    _require_one_machine(strategy)
    _require_no_grid(protocol, {"--learning-rates": learning_rates, "--steps": steps})
    with resumable("the run"):
        _vtab(
            model,
            tasks.split(","),
            data_dir,
            output or os.path.join("runs", "vtab"),
            {
                "protocol": protocol,
                "learning_rates": learning_rates or protocols.LEARNING_RATES,
                "steps": steps or protocols.STEPS,
                "seeds": seeds,
                "overrides": overrides,
            },
            strategy,
            as_json,
        )


def _require_one_machine(strategy: str) -> None:
    name, *_ = cluster.parse_strategy(strategy)
    if name == "multi_worker" or (name == "auto" and cluster.num_workers() > 1):
        raise click.UsageError(
            "VTAB must run on one machine, whose folder holds the results; got the strategy of "
            "several workers. Run other --tasks on each machine, each with an --output of its own."
        )


def _require_no_grid(protocol: str, given: dict) -> None:
    used = [option for option, value in given.items() if value]
    if protocol == protocols.BIT_HYPERRULE and used:
        raise click.UsageError(
            f"{used[0]} must not be given with --protocol=bit-hyperrule, whose schedule is fixed."
        )
    if 0 in (given["--learning-rates"] or ()):
        raise click.UsageError("--learning-rates must be more than 0; got 0.")


def _vtab(model, tasks, data_dir, output, settings, strategy, as_json) -> None:
    from mixer_tf.evaluation.vtab import benchmark
    from mixer_tf.evaluation.vtab.tasks import find

    chosen = find(tasks)
    start = benchmark.open_start(os.path.expanduser(model))
    settings = protocols.VtabSettings(model=start.options, **settings)
    for point in settings.points():
        settings.recipe(chosen[0], point, settings.seeds[0])  # a wrong override fails here
    readers, missing = benchmark.open_tasks(chosen, data_dir)
    for name, reason in missing.items():
        click.echo(f"note: skipped {visible(f'{name}: {reason}')}", err=True)
    with console.progress_with_time_left() as progress:
        report = benchmark.run(
            readers,
            missing,
            start,
            settings,
            output,
            strategy=strategy,
            progress=progress,
            finished=_show_result,
        )
    click.echo(report.to_json() if as_json else f"\n{report.to_text()}")
    if not as_json:
        click.echo(f"results  {visible(console.short_path(os.path.join(output, 'summary.json')))}")


def _show_result(result: dict) -> None:
    before = "\r\x1b[K" if sys.stderr.isatty() else ""  # the line of the progress
    number = f"{result['test_images']:,} test images"
    click.echo(f"{before}{result['task']}: top-1 {result['mean']:.4f} on {number}", err=True)
