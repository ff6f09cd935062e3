# SPDX-License-Identifier: Apache-2.0
"""`mixer plan`: what a training needs, before it runs."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click

from mixer_tf.cli import options
from mixer_tf.cli.command import Command
from mixer_tf.console import (
    activity,
    command_line,
    format_duration,
    format_table,
    progress_counter,
)
from mixer_tf.datasets.sources import opening
from mixer_tf.messages import visible

_MINUTE, _HOUR = 60, 3600
HERE = "here"  # this machine, as users write it


class _Price(click.ParamType):
    """A price such as "h100=2.5"."""

    name = "price"

    def convert(self, value, parameter, context) -> tuple[str, float]:
        from mixer_tf.planning import devices

        name, _, text = value.partition("=")
        names = (*devices.NAMES, HERE)
        try:
            price = float(text)
        except ValueError:
            price = -1
        if name not in names or not 0 <= price < float("inf"):
            self.fail(
                f"must be DEVICE=DOLLARS with one of {', '.join(names)}; got {value!r}.",
                parameter,
                context,
            )
        return name, price


def _optional_source(context, option, source):
    return None if source is None else options.with_details(context, option, source)


@click.command(cls=Command)
@click.argument("recipe_name", metavar="[RECIPE]", required=False)
@click.option("--source", help=f"{opening.forms()}.", callback=_optional_source)
@options.detail_options
@click.option("--data-dir", metavar="PATH", help="Where prepared TFDS datasets are stored.")
@click.option("--images", type=click.IntRange(1), help="Training images, instead of --source.")
@click.option("--classes", type=click.IntRange(1), help="Classes, instead of --source.")
@click.option(
    "--eval-images",
    type=click.IntRange(0),
    help="Evaluation images, with --images. Default: 0.",
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Change one field of the recipe, such as training.epochs=30. May be repeated.",
)
@options.shortcut_options
@click.option(
    "--devices",
    "num_devices",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Accelerators that share each batch.",
)
@click.option(
    "--utilization",
    type=click.FloatRange(0, 1, min_open=True),
    help="Assumed part of an accelerator's peak rate. Default: 0.47 on TPUs, as the authors "
    "reached, and 0.25 on GPUs, as measured on an H200.",
)
@click.option(
    "--price",
    "prices",
    type=_Price(),
    multiple=True,
    metavar="DEVICE=DOLLARS",
    help="Price per hour of one device, or of this machine (here=0.4). May be repeated.",
)
@click.option("--watts", type=click.FloatRange(0), help="Power of this machine, for its energy.")
@click.option("--budget", metavar="TIME", help="Propose trainings that take at most 45min, 2h …")
@click.option(
    "--on",
    metavar="DEVICE",
    default=HERE,
    show_default=True,
    help="The device of --budget: here, tpu-v3, tpu-v4, tpu-v5e, a100 or h100.",
)
@click.option("--no-measure", is_flag=True, help="Leave out this machine.")
@options.output_option("A file for the plan of this machine, which `mixer train --plan` reads.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan as one JSON object.")
def plan(
    recipe_name,
    source,
    data_dir,
    images,
    classes,
    eval_images,
    overrides,
    num_devices,
    utilization,
    prices,
    watts,
    budget,
    on,
    no_measure,
    output,
    as_json,
    **shortcuts,
) -> None:
    """Says what a training needs, before it runs: time, memory, energy and price.

    RECIPE is a name that `mixer recipes` lists, or a file. On this machine the beginning of the
    training is run for ten seconds, on a sample of the images of --source (without it, on generated
    photographs). For accelerators, the time follows from the number of operations, the peak rate
    and an assumed utilization. Prices are list prices, with their dates in docs/planning.md; the
    energy is that of the devices alone.

    With --budget, other models, resolutions and numbers of epochs that fit are proposed. Their time
    is in proportion to their operations.

    \b
    Examples:
      mixer plan digits --source=digits
      mixer plan photos --source=folder:pets --output=plan.json
      mixer plan pretrain_imagenet_b16 --images=1281167 --classes=1000 --devices=128 --no-measure
      mixer plan photos --source=folder:pets --budget=2h
      mixer plan photos --images=5000 --classes=10 --budget=10min --on=a100 --price a100=1.1
    """
    from mixer_tf.planning import budget as budgets

    seconds = budgets.parse(budget) if budget else None
    _require_data(source, images, classes, eval_images)
    _require_device(on, no_measure, budget)
    if no_measure:
        _require_nothing_here(output, watts, dict(prices))
    recipe = options.choose_recipe(recipe_name, source or "", overrides, **shortcuts)
    from mixer_tf.planning.planner import Planner

    planner = Planner(recipe, num_devices, utilization, dict(prices), watts)
    opened = opening.open_source(source, data_dir) if source else None
    if opened:
        with progress_counter("counting images") as progress:
            planner.count(opened, progress)
    else:
        planner.set_size(images, eval_images or 0, classes)
    if not no_measure:
        with activity("measuring this machine"):
            planner.measure(opened)
    proposals = planner.propose(seconds, on) if seconds else None
    if output:
        planner.write(output)
    if as_json:
        click.echo(json.dumps(planner.to_dict(proposals), indent=2))
    else:
        given = {name: value for name, value in shortcuts.items() if value is not None}
        # The default of `mixer train` may be another recipe for the source that is given there.
        name = recipe_name or (None if source else recipe.name)
        choice = [f"--recipe={name}"] if name else []
        choice += [f"--data-dir={data_dir}"] if data_dir else []
        choice += [f"--set={text}" for text in overrides]
        choice += [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
        _show(planner, proposals, on, source, output, choice)


def _require_data(source, images, classes, eval_images) -> None:
    if source and (images or classes or eval_images is not None):
        raise click.UsageError(
            "--images, --classes and --eval-images are instead of --source; leave them out."
        )
    if not source and not (images and classes):
        raise click.UsageError("give --source, or --images and --classes.")


def _require_device(on: str, no_measure: bool, budget: str | None) -> None:
    from mixer_tf.planning import devices

    if on != HERE:
        devices.get(on)
        if not budget:
            raise click.UsageError("--on is the device of --budget; give --budget or leave it out.")
    elif no_measure and budget:
        on_others = ", ".join(devices.NAMES)
        message = f"--budget on this machine needs its measurement; use --on with {on_others}."
        raise click.UsageError(message)


def _require_nothing_here(output: str | None, watts: float | None, prices) -> None:
    """Raises an error for what is of this machine alone, which --no-measure leaves out."""
    given = {
        "--output is the plan": output is not None,
        "--watts is the power": watts is not None,
        f"--price {HERE} is the price": HERE in prices,
    }
    for text, is_given in given.items():
        if is_given:
            raise click.UsageError(f"{text} of this machine; leave out --no-measure.")


def _show(
    planner, proposals, on: str, source: str | None, output: str | None, choice: Sequence[str]
) -> None:
    lines = planner.plan.lines()
    click.echo("\n".join(line for line in lines if not line.startswith(("memory", "devices"))))
    click.echo(f"\n{_table(planner)}\n")
    click.echo("\n".join(_assumptions(planner)))
    click.echo("\n".join(_paper(planner.paper())))
    if proposals is not None:
        click.echo(f"\n{_proposals(proposals, on)}")
    if output:
        click.echo(f"\nplan     {visible(output)}")
        arguments = ["train", f"--source={source or 'SOURCE'}", *choice, f"--plan={output}"]
        click.echo(f"next     {command_line('mixer', *arguments)}")


def _table(planner) -> str:
    header = ["device", "images/s", "ms/step", "time", "core-days", "memory", "largest batch"]
    header += ["kWh", "$"]
    rows = [
        [
            f"{each.title}{_times(each)}",
            _short(each.images_per_second),
            _short(1000 * each.seconds_per_step),
            duration(each.seconds),
            _short(each.core_days),
            f"{each.memory / 1e6:,.0f} MB",
            f"{each.largest_batch:,}" if each.largest_batch else "none",
            _or_dash(each.kilowatt_hours),
            _or_dash(each.dollars),
        ]
        for each in planner.estimates().values()
    ]
    return format_table(header, rows)


def _times(estimate) -> str:
    is_several = estimate.num_devices > 1 and not estimate.is_measured
    return f" x {estimate.num_devices}" if is_several else ""


def duration(seconds: float) -> str:
    """Returns "7.2 s" below a minute, "12:07" below an hour, else hours: "2.2 h"."""
    if seconds < _MINUTE:
        return f"{_short(seconds)} s"
    return format_duration(seconds) if seconds < _HOUR else f"{seconds / _HOUR:,.1f} h"


def _short(number: float) -> str:
    """Returns three digits: 1,084 or 0.00123."""
    return f"{number:,.0f}" if number >= 1000 else f"{number:.3g}"


def _or_dash(number: float | None) -> str:
    return "-" if number is None else _short(number) if number >= 0.005 else "0.00"


def _assumptions(planner) -> list[str]:
    lines = []
    if found := planner.measurement:
        share = _rate(planner) / found.matrix_rate
        lines.append(
            f"measured batches of {found.batch_size:,} on this machine: {share:.0%} of the rate of "
            f"a matrix product, {found.matrix_rate / 1e9:,.0f} GFLOP/s"
        )
    return [
        *lines,
        f"assumed  {_utilization(planner)}; devices that do not wait for images or each other",
    ]


def _utilization(planner) -> str:
    from mixer_tf.planning import devices

    if planner.utilization:
        return f"{planner.utilization:.0%} of an accelerator's peak rate"
    tpu, gpu = devices.TRAINING_UTILIZATION, devices.GPU_TRAINING_UTILIZATION
    return f"{tpu:.0%} of the peak rate of a TPU, {gpu:.0%} of that of a GPU"


def _rate(planner) -> float:
    from mixer_tf.planning import estimate

    return estimate.step_operations(planner.plan) / planner.measurement.step


def _paper(found: dict) -> list[str]:
    cost, speed = found["core_days"], found["images_per_second"]
    return [
        f"paper    {_short(cost)} core-days of TPU v3: "
        f"{_where(found['at_cost'], found['cheapest'])}",
        f"         {_short(speed)} images/s and core at inference: "
        f"{_where(found['at_throughput'], found['fastest'])}",
    ]


def _where(best, end) -> str:
    """Where the frontier is; the paper's accuracies are after pre-training on its own data."""
    if best is None:
        text = f"outside the paper's frontier, which begins with {end.title}"
        best = end
    else:
        text = f"there, the paper's best is {best.title}"
    return (
        f"{text}: {best.accuracy:.2f} % on ImageNet after {_short(best.core_days)} core-days on "
        f"{best.pretraining}"
    )


def _proposals(proposals, on: str) -> str:
    if not proposals:
        return "budget   not even one epoch of the cheapest model fits; use more time"
    header = ["proposal, on this machine" if on == HERE else f"proposal, on {on}"]
    header += ["pixels", "parameters", "epochs", "time"]
    rows = [
        [
            " ".join(f"--set {word}" for word in each.assignments) or "the recipe as it is",
            str(each.plan.recipe.model.image_size),
            f"{each.plan.parameters:,}",
            str(each.plan.length.epochs),
            duration(each.seconds),
        ]
        for each in proposals
    ]
    return format_table(header, rows)
