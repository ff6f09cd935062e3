# SPDX-License-Identifier: Apache-2.0
"""`mixer runs`: lists and compares runs."""

from __future__ import annotations

import json

import click

from mixer_tf.cli.command import Command
from mixer_tf.console import format_table
from mixer_tf.messages import visible

_MAX_WIDTH = 28  # of a value in the table of differences


@click.command(cls=Command)
@click.argument("roots", nargs=-1, metavar="[ROOT]...")
@click.option(
    "--last",
    default=6,
    show_default=True,
    type=click.IntRange(min=1),
    metavar="N",
    help="Show the newest N runs.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print the facts of the runs, and all differences, as one JSON object.",
)
def runs(roots, last, as_json) -> None:
    """Lists runs, and what differs in their recipes, options, data and figures.

    ROOT is the root of a pipeline, whose runs are listed, the output of `mixer train`, or a folder
    of such folders. Default: runs. The oldest run comes first. `mixer report` shows one of them.

    \b
    Examples:
      mixer runs
      mixer runs runs/pets --last=2
      mixer runs runs/train-pets pets-model
      mixer runs experiments --json
    """
    from mixer_tf.reports import comparison, stored

    found, problems = stored.all_runs(*(roots or ["runs"]))
    chosen = found[-last:]
    differences = comparison.differences(chosen)
    if as_json:
        facts = [json.loads(run.to_json()) for run in chosen]
        values = {"runs": facts, "differences": differences, "problems": problems}
        click.echo(json.dumps(values, indent=1, ensure_ascii=False))
        return
    click.echo(_list(chosen, comparison))
    if len(found) > len(chosen):
        click.echo(f"the newest {len(chosen)} of {len(found):,} runs; --last=N shows more")
    if len(chosen) > 1:
        click.echo(f"\n{_differences(differences, len(chosen), comparison)}")
    for problem in problems:
        click.echo(f"note: {visible(problem)}", err=True)


def _list(chosen, comparison) -> str:
    rows = [
        [str(number), comparison.title(run), run.state, *_what(run), *_results(run, comparison)]
        for number, run in enumerate(chosen, 1)
    ]
    header = ["", "run", "state", "recipe", "source", "pushed"]
    return format_table([*header, "train images", "eval top-1", "test top-1"], rows, left=6)


def _what(run) -> list[str]:
    pushed = "yes" if run.push and run.push.pushed else "no" if run.push else "–"
    return [run.recipe.name if run.recipe else "–", run.data.source if run.data else "–", pushed]


def _results(run, comparison) -> list[str]:
    figures = comparison.figures(run)
    images = run.data.images.get("train") if run.data else None
    values = (images, figures["eval top-1, best"], figures["test top-1"])
    return [comparison.shown(value) for value in values]


def _differences(differences, count: int, comparison) -> str:
    """One row for each value that differs, one column for each run, by its number in the list."""
    if not differences:
        return "no difference in recipe, options, data and figures"
    rows = [
        [f"{section}: {name}", *(_short(comparison.shown(value, section)) for value in values)]
        for section, found in differences.items()
        for name, values in found.items()
    ]
    return format_table(["differs", *map(str, range(1, count + 1))], rows)


def _short(value: str) -> str:
    return value if len(value) <= _MAX_WIDTH else f"…{value[1 - _MAX_WIDTH :]}"
