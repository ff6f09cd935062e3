# SPDX-License-Identifier: Apache-2.0
"""`mixer bench throughput`: images per second of models, forward and in training."""

from __future__ import annotations

import csv
import io
import json
import os

import click

from mixer_tf import storage
from mixer_tf.cli import options
from mixer_tf.cli.command import Command
from mixer_tf.console import format_table
from mixer_tf.messages import visible

_SIZES = "32,64,128,256,512,1024,2048,4096,8192"


@click.command(cls=Command)
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@click.option(
    "--batch-sizes",
    default=_SIZES,
    show_default=True,
    metavar="N1,N2,...",
    callback=options.numbers_of(minimum=1),
    help="Images of a batch; they increase until memory ends.",
)
@click.option(
    "--mode",
    type=click.Choice(["both", "forward", "training"]),
    default="both",
    show_default=True,
)
@click.option(
    "--precision",
    type=click.Choice(["float32", "mixed_bfloat16", "mixed_float16"]),
    default="float32",
    show_default=True,
)
@click.option("--xla", is_flag=True, help="Compile with XLA.")
@options.size_options
@click.option(
    "--seconds",
    type=click.FloatRange(0.1, 600),
    default=3.0,
    show_default=True,
    help="Duration of each measurement, after the first batch.",
)
@click.option(
    "--memory",
    type=click.FloatRange(0, min_open=True),
    metavar="GB",
    help="Memory that may be used. Default: what is free.",
)
@options.output_option("A folder for throughput.csv and throughput.png. Default: throughput.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as one JSON object.")
def throughput(
    models, batch_sizes, mode, precision, xla, image_size, num_classes, seconds, memory, output,
    as_json,
) -> None:  # fmt: skip
    """Measures images per second of models: the best over sizes of a batch, as the paper does.

    Without MODEL, all models that `mixer models --family=all` lists. Each measurement runs in a
    process of its own, on random images that are in memory already; a batch that would not fit in
    memory is not tried. Beside the rate are the multiply-adds of an image, and the part of the rate
    of a matrix product on the same machine that the model reaches.

    \b
    Examples:
      mixer bench throughput mixer_s32 vit_s32 --batch-sizes=32,64
      mixer bench throughput mixer_b16 --precision=mixed_bfloat16 --xla
      mixer bench throughput --mode=forward --output=all-models
    """
    from mixer_tf.benchmarks import throughput as library
    from mixer_tf.benchmarks import throughput_plot
    from mixer_tf.models import registry

    names = [registry.canonical_name(name) for name in models] or library.all_models()
    settings = dict(
        image_size=image_size, num_classes=num_classes, precision=precision, jit_compile=xla
    )
    for name in names:  # an impossible size fails here
        registry.describe(name, image_size=image_size, num_classes=num_classes)
    folder = output or "throughput"
    table = os.path.join(folder, "throughput.csv")
    if storage.exists(table):
        raise click.ClickException(f"{table} exists already; name another folder with --output.")
    modes = library.MODES if mode == "both" else (mode,)
    limit = None if memory is None else int(memory * 1e9)
    results = []
    for result in library.measure(
        names, modes, sorted(batch_sizes), seconds=seconds, memory=limit, **settings
    ):
        results.append(result)
        click.echo(_line(result), err=True)
    storage.make_folder(folder)
    storage.write_text(table, _csv(results))
    plot = os.path.join(folder, "throughput.png")
    throughput_plot.draw(results, plot, _title(precision, xla))
    best = library.best(results)
    if as_json:
        click.echo(json.dumps({"results": [*map(_row, results)], "best": [*map(_row, best)]}))
        return
    _show(best, results, folder)


def _title(precision: str, xla: bool) -> str:
    from mixer_tf.benchmarks import machine

    name = machine.this_machine().title
    return f"{name}, {machine.processor()}, {precision}{', XLA' if xla else ''}"


def _line(result) -> str:
    setting = result.setting
    start = f"{setting.model}  {setting.mode}  {setting.batch_size:,}"
    if result.problem:
        return f"{start}: {visible(result.problem)}"
    return f"{start}: {result.images_per_second:,.1f} images/s"


def _row(result) -> dict[str, object]:
    setting = result.setting
    return {
        "model": setting.model,
        "mode": setting.mode,
        "batch_size": setting.batch_size,
        "image_size": setting.image_size,
        "precision": setting.precision,
        "xla": setting.jit_compile,
        "images_per_second": result.images_per_second,
        "multiply_adds": setting.description.multiply_adds,
        "matrix_rate": result.matrix_rate,
        "utilization": result.utilization,
        "problem": result.problem,
    }


def _csv(results) -> str:
    file = io.StringIO()
    rows = [_row(result) for result in results]
    writer = csv.DictWriter(file, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def _first_problems(results) -> dict[tuple[str, str], str]:
    """Returns model and mode → the problem of its smallest batch, or ""."""
    found: dict[tuple[str, str], str] = {}
    for result in results:
        found.setdefault((result.setting.model, result.setting.mode), result.problem)
    return found


def _show(best, results, folder: str) -> None:
    header = ["model", "mode", "batch", "images/s", "multiply-adds", "of a matrix product"]
    rows = [
        [
            result.setting.model,
            result.setting.mode,
            f"{result.setting.batch_size:,}",
            f"{result.images_per_second:,.1f}",
            f"{result.setting.description.multiply_adds / 1e9:.2f} G",
            f"{result.utilization:.0%}",
        ]
        for result in best
    ]
    if rows:
        click.echo(format_table(header, rows, left=2))
    measured = {(r.setting.model, r.setting.mode) for r in best}
    for (model, mode), problem in _first_problems(results).items():
        if (model, mode) not in measured:
            click.echo(f"note: {model} was not measured ({mode}): {visible(problem)}")
    if best:
        rates = [result.matrix_rate / 1e9 for result in best]
        click.echo(f"\nmatrix product  {min(rates):,.0f} to {max(rates):,.0f} GFLOP/s")
    click.echo(f"files           {visible(folder)}/throughput.csv, throughput.png")
