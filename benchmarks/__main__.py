# SPDX-License-Identifier: Apache-2.0
"""Runs the benchmarks of speed, and writes their tables into docs/speed.md: `make bench`.

    python -m benchmarks compute startup

Each runs as its command does without options. One that fails, or none of whose settings could be
measured, leaves its tables on the page as they are; the others run all the same, and the exit code
is 1.
"""

from __future__ import annotations

import datetime
import importlib
import pathlib
import sys
import time
from collections.abc import Sequence

import click

from benchmarks import page, results
from mixer_tf import console, storage
from mixer_tf.cli.command import Command
from mixer_tf.messages import clear_message

NAMES = ("compute", "scaling", "startup", "evaluation", "training_input")
_PAGE = str(pathlib.Path(__file__).parents[1] / "docs" / "speed.md")


@click.command(cls=Command)
@click.argument("names", nargs=-1, type=click.Choice(NAMES), metavar="[NAME]...")
@click.option("--page", "path", default=_PAGE, metavar="FILE", help="Default: docs/speed.md.")
def main(names: Sequence[str], path: str) -> None:
    """Measures, prints the tables, and writes them between their markers of a page.

    Without NAME, all of compute, scaling, startup, evaluation and training_input. It takes about
    ten minutes on 2 cores that do nothing else.
    """
    text = storage.read_text(path)
    for name in names or NAMES:
        page.replace(text, name, "")  # a missing marker fails here
    where = page.describe_machine(datetime.date.today())
    failed = [name for name in names or NAMES if not _run(name, path, where)]
    if failed:
        raise click.ClickException(
            f"{', '.join(failed)} failed; the page keeps the tables that it had. "
            f"`python -m benchmarks.{failed[0]} --verbose` shows where."
        )
    click.echo(f"tables in {console.short_path(path)}")


def _run(name: str, path: str, where: str) -> bool:
    """Runs a benchmark and writes its tables; returns whether it succeeded."""
    start = time.monotonic()
    try:
        tables = measure(name)
        _require_rates(tables)
        page.update(path, name, tables, where)
    except Exception as error:
        results.progress(f"{name} failed: {clear_message(error)}")
        return False
    click.echo(f"\nbenchmarks.{name}, {console.format_duration(time.monotonic() - start)}")
    results.show(tables, as_json=False)
    return True


def _require_rates(tables: Sequence[results.Table]) -> None:
    for table in tables:
        if table.has_failed:
            reasons = " ".join(table.notes)
            raise RuntimeError(f"at least one setting must be measured; none was. {reasons}")


def measure(name: str) -> list[results.Table]:
    """Returns the tables of a benchmark, with the defaults of its command's options."""
    module = importlib.import_module(f"{__package__}.{name}")
    options = module.main.make_context(name, []).params
    return module.measure(**{key: value for key, value in options.items() if key != "as_json"})


if __name__ == "__main__":
    sys.exit(main())
