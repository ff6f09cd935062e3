# SPDX-License-Identifier: Apache-2.0
"""What devices, gradient accumulation, steps per execution and classes do to images per second.

    python -m benchmarks.scaling --devices=1,2 --batch-size=32

Each setting trains in a process of its own; "of the first" compares it with the first setting of
its group. Several devices on a CPU are logical devices that share all its cores, under
MirroredStrategy.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator, Sequence

import click

from benchmarks import results
from benchmarks.results import Column, Table, ratio
from mixer_tf import recipes
from mixer_tf.benchmarks import throughput
from mixer_tf.benchmarks.throughput import TRAINING, Result, Setting
from mixer_tf.cli import options
from mixer_tf.cli.command import Command
from mixer_tf.models import registry

_numbers = options.numbers_of(1)
# group of the table -> the field of `Setting` that it varies
GROUPS = {
    "devices": "devices",
    "accumulation steps": "accumulation_steps",
    "steps per execution": "steps_per_execution",
    "classes": "num_classes",
}
_COLUMNS = (
    Column("what varies"),
    Column("value", ",d"),
    Column(results.RATE, ",.1f"),
    Column("of the matrix rate", ".0%"),
    Column("of the first", ".2f"),
    Column("memory MB", ",.0f"),
)


@click.command(cls=Command)
@click.option("--model", default="mixer_b16", show_default=True, metavar="NAME")
@click.option("--blocks", default=2, show_default=True, type=click.IntRange(min=1))
@click.option("--image-size", default=224, show_default=True, help="Side of the input in pixels.")
@click.option("--batch-size", default=32, show_default=True, type=click.IntRange(min=1))
@click.option("--devices", default="1,2", show_default=True, callback=_numbers)
@click.option("--accumulation-steps", default="1,2,4", show_default=True, callback=_numbers)
@click.option(
    "--steps-per-execution",
    default="1,10,50",
    show_default=True,
    callback=_numbers,
    help="Measured with the model of the recipe digits, whose steps are short.",
)
@click.option("--num-classes", default="10,1000,21843", show_default=True, callback=_numbers)
@results.seconds_option(2.0)
@results.json_option
def main(as_json: bool, **settings) -> None:
    """Prints images/s of trainings that differ in one respect each."""
    results.show(measure(**settings), as_json)


def measure(
    model: str,
    blocks: int,
    image_size: int,
    batch_size: int,
    seconds: float,
    **values: Sequence[int],
) -> list[Table]:
    """Returns the table; the arguments are the options of the command."""
    fields = {"num_blocks": blocks}
    name = registry.canonical_name(model)
    base = Setting(name, TRAINING, batch_size, image_size=image_size, fields=fields)
    found = []
    for group, setting in settings_of(base, values):
        results.progress(f"scaling: {group} {getattr(setting, GROUPS[group])}")
        found.append((group, throughput.measure_setting(setting, seconds)))
    return [make_table(found)]


def settings_of(base: Setting, values: dict[str, Sequence[int]]) -> Iterator[tuple[str, Setting]]:
    """Yields the group and the setting of each row.

    Args:
        base: what the groups vary.
        values: field of `Setting` -> its values.
    """
    for group, field in GROUPS.items():
        start = _short_steps(base) if field == "steps_per_execution" else base
        for value in values[field]:
            yield group, dataclasses.replace(start, **{field: value})


def _short_steps(base: Setting) -> Setting:
    model = recipes.get("digits").model
    return dataclasses.replace(
        base, model=model.name, image_size=model.image_size, fields=dict(model.fields)
    )


def make_table(found: Sequence[tuple[str, Result]]) -> Table:
    """Returns the table of (group, result) pairs."""
    first: dict[str, Result] = {}
    rows, notes = [], []
    for group, result in found:
        value = getattr(result.setting, GROUPS[group])
        reference = first.setdefault(group, result).images_per_second
        share = ratio(result.images_per_second, reference)
        megabytes = ratio(result.memory, 1e6)
        rate = result.images_per_second
        rows.append((group, value, rate, result.utilization, share, megabytes))
        if result.problem:
            notes.append(f"{group} {value}: {result.problem}.")
    return Table(_COLUMNS, rows, notes)


if __name__ == "__main__":
    sys.exit(main())
