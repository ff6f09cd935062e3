# SPDX-License-Identifier: Apache-2.0
"""Training steps, forward passes and the served signature as shares of the machine's matrix rate.

    python -m benchmarks.compute --model=mixer_b16 --blocks=12

Each setting is measured in a process of its own, which measures a product of square matrices right
before and after. The same model in Flax, with the same optimizer, stands beside ours. "first s" is
the time until the first batch is done, without imports; "memory" is what the peak memory of the
process, or that of the GPU, has grown by then.

On a GPU, where JAX and TensorFlow need CUDA's libraries in different versions:

    python -m benchmarks.compute --blocks=12 --precision=mixed_bfloat16 --batch-sizes=512 \\
        --mode=training --mode=forward --program="ours, XLA" --program=Flax \\
        --flax-python=PATH
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

import click

from benchmarks import results
from benchmarks.results import Column, Table, ratio
from mixer_tf.benchmarks import throughput
from mixer_tf.benchmarks.throughput import FORWARD, SERVING, TRAINING, Result, Setting
from mixer_tf.cli import options
from mixer_tf.cli.command import Command
from mixer_tf.models import registry

OURS, XLA, RECOMPUTE, FLAX = "ours", "ours, XLA", "ours, recompute", "Flax"
# A served model is run as it was exported, and has no counterpart in Flax.
_PROGRAMS = {TRAINING: (OURS, XLA, RECOMPUTE, FLAX), FORWARD: (OURS, XLA, FLAX), SERVING: (OURS,)}
_REFERENCES = {TRAINING: TRAINING, FORWARD: FORWARD, SERVING: FORWARD}
_MEASURE_FLAX = "benchmarks.flax_process"
_COLUMNS = (
    Column("mode"),
    Column("program"),
    Column("batch", ",d"),
    Column(results.RATE, ",.1f"),
    Column("of the matrix rate", ".0%"),
    Column("of Flax", ".2f"),
    Column("first s", ".1f"),
    Column("memory MB", ",.0f"),
    Column("of Flax's memory", ".2f"),
)


@click.command(cls=Command)
@click.option("--model", default="mixer_b16", show_default=True, metavar="NAME")
@click.option(
    "--blocks",
    default=2,
    show_default=True,
    type=click.IntRange(min=1),
    help="Number of blocks of the model, instead of its own: fewer are measured sooner.",
)
@click.option("--batch-sizes", default="16,32", show_default=True, callback=options.numbers_of(1))
@click.option(
    "--precision",
    type=click.Choice(["float32", "mixed_bfloat16"]),
    default="float32",
    show_default=True,
)
@click.option("--image-size", default=224, show_default=True, help="Side of the input in pixels.")
@click.option(
    "--mode",
    "modes",
    multiple=True,
    type=click.Choice([*_PROGRAMS]),
    help="Measure only this. May be repeated.",
)
@click.option(
    "--program",
    "programs",
    multiple=True,
    type=click.Choice(_PROGRAMS[TRAINING]),
    help="Measure only this program. May be repeated.",
)
@click.option(
    "--flax-python",
    default=sys.executable,
    metavar="PATH",
    help="The interpreter that has Flax. Default: this one.",
)
@results.seconds_option(1.5)
@results.json_option
def main(as_json: bool, **settings) -> None:
    """Prints images/s of training, forward pass and served signature, and their shares."""
    results.show(measure(**settings), as_json)


def measure(
    model: str,
    blocks: int,
    batch_sizes: Sequence[int],
    precision: str,
    image_size: int,
    modes: Sequence[str],
    programs: Sequence[str],
    flax_python: str,
    seconds: float,
) -> list[Table]:
    """Returns the table; the arguments are the options of the command.

    Raises:
        ValueError: there is no such model, or it is not a Mixer.
    """
    if registry.family_of(model) is not registry.MIXER:
        raise ValueError(f"--model must be a Mixer, which Flax has as well; got {model}.")
    common = dict(image_size=image_size, precision=precision, fields={"num_blocks": blocks})
    found = []
    for program, setting in settings_of(registry.canonical_name(model), batch_sizes, common):
        if setting.mode not in (modes or _PROGRAMS) or program not in (programs or (program,)):
            continue
        results.progress(f"compute: {setting.mode}, {program}, {setting.batch_size} images")
        where = {}
        if program == FLAX:
            where = {"program": _MEASURE_FLAX, "python": flax_python}
        found.append((program, throughput.measure_setting(setting, seconds, **where)))
    return [make_table(found)]


def settings_of(
    model: str, batch_sizes: Sequence[int], common: dict[str, object]
) -> Iterator[tuple[str, Setting]]:
    """Yields the program and the setting of each row."""
    for mode, programs in _PROGRAMS.items():
        for size in batch_sizes:
            for program in programs:
                options = {"jit_compile": program == XLA, "recompute": program == RECOMPUTE}
                yield program, Setting(model, mode, size, **options, **common)


def make_table(found: Sequence[tuple[str, Result]]) -> Table:
    """Returns the table of (program, result) pairs."""
    flax = {
        (result.setting.mode, result.setting.batch_size): result
        for program, result in found
        if program == FLAX
    }
    rows, notes = [], _matrix_notes([result for _, result in found])
    for program, result in found:
        mode, size = result.setting.mode, result.setting.batch_size
        reference = flax.get((_REFERENCES[mode], size), Result(result.setting))
        share = ratio(result.images_per_second, reference.images_per_second)
        memory = ratio(result.memory, reference.memory)
        megabytes = ratio(result.memory, 1e6)
        rows.append(
            (mode, program, size, result.images_per_second, result.utilization, share)
            + (result.first_seconds, megabytes, memory)
        )
        if result.problem:
            notes.append(f"{mode}, {program}, {size} images: {result.problem}.")
    return Table(_COLUMNS, rows, notes)


def _matrix_notes(found: Sequence[Result]) -> list[str]:
    rates = [result.matrix_rate / 1e9 for result in found if result.matrix_rate]
    if not rates:
        return []
    setting = found[0].setting
    return [
        f"{setting.model}, {setting.description.config.num_blocks} blocks, {setting.precision}; "
        f"matrix rate {min(rates):,.0f} to {max(rates):,.0f} GFLOP/s."
    ]


if __name__ == "__main__":
    sys.exit(main())
