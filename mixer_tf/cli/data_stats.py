# SPDX-License-Identifier: Apache-2.0
"""`mixer data stats`: what a source of images contains."""

from __future__ import annotations

import os

import click

from mixer_tf import console, workers
from mixer_tf.cli import options
from mixer_tf.cli.command import Command
from mixer_tf.datasets.sources import opening
from mixer_tf.messages import visible


@click.command(cls=Command)
@click.argument("source", callback=options.with_details)
@options.detail_options
@click.option("--data-dir", metavar="PATH", help="Where prepared TFDS datasets are stored.")
@click.option(
    "--out",
    metavar="DIR",
    help="A folder for statistics.html, one page with tables and plots, and for statistics.json. "
    "Without it, the statistics are only printed.",
)
@options.statistics_limit_options
@click.option(
    "--fail-on-anomalies", is_flag=True, help="End with exit code 1 if there is any anomaly."
)
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    metavar="N",
    help="Number of processes. Default: one for each processor.",
)
def stats(source, data_dir, out, fail_on_anomalies, processes, **thresholds) -> None:
    """Measures the images of a source, and finds what a training would suffer from.

    SOURCE is what `mixer train` takes as --source. For each split and class: sizes, aspect ratios,
    brightness, contrast, colors, file formats, and the shares of grayscale and of nearly constant
    images; and the skew between training and the other splits. Each image is decoded once, at a
    reduced size. A source without splits is divided as in a training.

    Means and standard deviations of the colors are printed from 0 to 1, as for a normalization.

    \b
    Examples:
      mixer data stats digits
      mixer data stats folder:pets --out=pets-statistics
      mixer data stats csv:list.csv --max-skew=0.2 --fail-on-anomalies
      mixer data stats tfds:cifar10 --processes=4
    """
    from mixer_tf.datasets.anomalies import find_anomalies
    from mixer_tf.datasets.source_statistics import measure_source
    from mixer_tf.visualization import statistics_page

    limits = options.statistics_limits(thresholds)
    opened = opening.open_source(source, data_dir)
    for note in opened.notes:
        click.echo(f"note: {visible(note)}")
    with console.progress_with_time_left() as show:
        statistics = measure_source(
            opened,
            processes or workers.count_processors(),
            lambda done, total: show("measuring images", done, total),
        )
    click.echo(_table(statistics))
    if out:
        folder = os.path.expanduser(out)
        anomalies = statistics_page.write(folder, statistics, opened.spec, limits)
        click.echo(f"page     {os.path.join(folder, statistics_page.PAGE)}")
    else:
        anomalies = find_anomalies(statistics, limits)
    for anomaly in anomalies:
        click.echo(f"anomaly  {anomaly}")
    if not anomalies:
        click.echo("no anomalies")
    elif fail_on_anomalies:
        raise click.exceptions.Exit(1)


def _table(statistics) -> str:
    """One row for each measure, one column for each split."""
    from mixer_tf.datasets.anomalies import describe_group

    groups = [statistics.of_split(split) for split in statistics.splits]
    columns = []
    for group in groups:
        found = {"images": f"{group.images:,}", "unreadable": f"{group.unreadable:,}"}
        found |= describe_group(group)
        for name in ("red", "green", "blue") if group.images else ():
            found[name] = f"{group.mean(name) / 255:.4f} ± {group.std(name) / 255:.4f}"
        columns.append(found)
    titles = dict.fromkeys(title for column in columns for title in column)
    rows = [[title, *(column.get(title, "–") for column in columns)] for title in titles]
    return console.format_table(["", *statistics.splits], rows)
