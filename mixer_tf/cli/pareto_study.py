# SPDX-License-Identifier: Apache-2.0
"""`mixer study pareto`: accuracy against cost and throughput, the paper's models and your own."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os

import click

from mixer_tf import storage
from mixer_tf.cli import options
from mixer_tf.cli.command import Command
from mixer_tf.console import format_table
from mixer_tf.messages import spreadsheet_cell, visible


@click.command(cls=Command)
@click.option(
    "--run",
    "runs",
    multiple=True,
    metavar="FOLDER",
    help="A folder of `mixer train`, to add to the plots; may be repeated.",
)
@options.output_option("A folder for the plots. Default: pareto.")
@click.option("--json", "as_json", is_flag=True, help="Print all points as one JSON object.")
def pareto(runs, output, as_json) -> None:
    """Plots accuracy against training cost and throughput, and the best trade-offs.

    The points are those of the paper's Tables 2 and 3: its Figure 2, left, and both halves of its
    Figure 3. The frontier joins the models that no other beats in both. A run of your own gets the
    top-1 on its evaluation split and the core-days of its logs; its throughput is calculated for a
    core of TPU v3. They are comparable with the paper's only where data and cores are.

    OUTPUT gets a PNG and an SVG file for each plot, and points.csv.

    \b
    Examples:
      mixer study pareto
      mixer study pareto --run runs/train-pets --run pets-model --output=pareto-pets
    """
    from mixer_tf.planning import own_points
    from mixer_tf.studies import pareto as library
    from mixer_tf.studies import pareto_plot

    folder = output or "pareto"
    found = own_points.read(list(map(os.path.expanduser, runs)))
    own = list(map(own_points.to_point, found))
    charts = library.charts()
    storage.make_folder(folder)
    paths = [pareto_plot.draw(chart, own, folder) for chart in charts]
    table = os.path.join(folder, "points.csv")
    storage.write_text(table, _csv(charts, own))
    if as_json:
        click.echo(json.dumps(_to_dict(charts, own), indent=2))
        return
    for chart, (png, svg) in zip(charts, paths, strict=True):
        _show(chart, library.frontier(chart.points, chart.axis), png, svg)
    if found:
        click.echo(f"\n{_runs_table(found)}")
    click.echo(f"\npoints   {visible(table)}")


def _show(chart, frontier, png: str, svg: str) -> None:
    names = ", ".join(f"{point.title} ({point.accuracy:.2f} %)" for point in frontier)
    click.echo(f"{chart.title}\n  frontier  {names}\n  plot      {visible(png)}, {visible(svg)}")


def _runs_table(found) -> str:
    from mixer_tf.planning import own_points

    header = ["run", "top-1", "images/s in training", "core-days", "cores", "as TPU v3"]
    rows = [
        [
            run.folder,
            f"{run.accuracy:.4f}",
            "" if run.images_per_second is None else f"{run.images_per_second:,.0f}",
            f"{run.core_days:.3g}",
            str(run.cores),
            f"{own_points.paper_core_days(run):.3g}",
        ]
        for run in found
    ]
    return format_table(header, rows)


def _csv(charts, own) -> str:
    from mixer_tf.studies import pareto as library

    file = io.StringIO()
    names = [field.name for field in dataclasses.fields(library.Point)]
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["chart", *names, "on_frontier"])
    for chart in charts:
        best = library.frontier(chart.points, chart.axis)
        for point in (*chart.points, *own):
            cells = [spreadsheet_cell(getattr(point, name)) for name in names]
            writer.writerow([chart.name, *cells, "yes" if point in best else "no"])
    return file.getvalue()


def _to_dict(charts, own) -> dict[str, object]:
    from mixer_tf.studies import pareto as library

    return {
        chart.name: {
            "axis": chart.axis,
            "points": [dataclasses.asdict(point) for point in (*chart.points, *own)],
            "frontier": [p.title for p in library.frontier(chart.points, chart.axis)],
        }
        for chart in charts
    }
