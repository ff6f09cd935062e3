# SPDX-License-Identifier: Apache-2.0
"""Seconds until commands answer, and until a training takes its first step.

    python -m benchmarks.startup --demo

Each command runs in a process of its own; the run with the least CPU time counts. CPU seconds are
those of all threads and child processes. "of TensorFlow" compares them with an import of TensorFlow
alone. With --demo, the command of `make demo` runs twice in a temporary folder, the second time
from the cache.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence

import click

from benchmarks import results
from benchmarks.results import Column, Table, ratio
from mixer_tf import storage
from mixer_tf.cli.command import Command

_ROOT = pathlib.Path(__file__).parents[1]
_MIXER = ("-m", "mixer_tf.cli")
_IMPORT = "import tensorflow"
# `mixer doctor` exits with 1 where it has found a problem.
_DONE = (0, 1)
_COLUMNS = (
    Column("command"),
    Column("CPU s", ".2f"),
    Column("wall s", ".2f"),
    Column("of TensorFlow", ".2f"),
)
_STEP_COLUMNS = (
    Column("step of make demo"),
    Column("s", ",.2f"),
    Column("from the cache s", ",.2f"),
)


@dataclasses.dataclass(frozen=True)
class Duration:
    """Seconds of a process: of the processor, with its child processes, and on the clock."""

    cpu: float
    wall: float


@click.command(cls=Command)
@click.option(
    "--repeats",
    default=2,
    show_default=True,
    type=click.IntRange(min=1),
    help="Number of runs of each command.",
)
@click.option("--demo", is_flag=True, help="Also `make demo`, twice.")
@click.option(
    "--only",
    multiple=True,
    metavar="TEXT",
    help="Only the commands with this text; may be repeated.",
)
@results.json_option
def main(as_json: bool, **settings) -> None:
    """Prints the CPU and wall seconds of commands and of a training's first step."""
    results.show(measure(**settings), as_json)


def measure(repeats: int, demo: bool, only: Sequence[str]) -> list[Table]:
    """Returns the tables; the arguments are the options of the command.

    Raises:
        ValueError: a command failed, or `only` matches none.
    """
    with tempfile.TemporaryDirectory(prefix="mixer-startup-") as folder:
        chosen = {
            title: command
            for title, command in commands(folder).items()
            if not only or any(text in title for text in only)
        }
        if not chosen:
            titles = "; ".join(commands(folder))
            raise ValueError(f"--only must be part of a command; got {only[0]!r} of {titles}.")
        if any(folder in word for command in chosen.values() for word in command):
            results.progress("startup: a model and images to work with")
            _run([sys.executable, "-m", "benchmarks.startup_process", "prepare", folder])
        found = {}
        for title, command in chosen.items():
            results.progress(f"startup: {title}")
            found[title] = fastest([_run([sys.executable, *command]) for _ in range(repeats)])
        tables = [make_table(found)]
        if demo:
            tables.append(_measure_demo(os.path.join(folder, "demo")))
    return tables


def commands(folder: str) -> dict[str, tuple[str, ...]]:
    """Returns title -> arguments of Python.

    Args:
        folder: where `startup_process` prepares a model and images.
    """
    model, image = os.path.join(folder, "model"), os.path.join(folder, "image.png")
    return {
        "python": ("-c", ""),
        _IMPORT: ("-c", _IMPORT),
        "mixer --help": (*_MIXER, "--help"),
        "mixer doctor": (*_MIXER, "doctor"),
        "mixer predict, one image": (*_MIXER, "predict", model, image),
        "python -m pipeline.local_runner --help": ("-m", "pipeline.local_runner", "--help"),
        "first training step of digits": ("-m", "benchmarks.startup_process", "train", folder),
    }


def fastest(runs: Sequence[Duration]) -> Duration:
    """Returns the run with the least CPU time, which other processes have disturbed least."""
    return min(runs, key=lambda run: run.cpu)


def make_table(found: Mapping[str, Duration]) -> Table:
    """Returns the table of title -> duration."""
    reference = found[_IMPORT].cpu if _IMPORT in found else None
    rows = [
        (title, each.cpu, each.wall, ratio(each.cpu, reference)) for title, each in found.items()
    ]
    return Table(_COLUMNS, rows)


def _run(command: Sequence[str]) -> Duration:
    """Runs a command.

    Raises:
        ValueError: it failed.
    """
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    start = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, cwd=_ROOT, env=environment
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - start
        output.seek(0)
        text = output.read().decode(errors="replace").strip()
    if process.returncode not in (_DONE if "doctor" in command else (0,)):
        last = text.splitlines()[-1] if text else f"exit code {process.returncode}"
        raise ValueError(f"{' '.join(command[1:])} must succeed; it ended with: {last}")
    return Duration(usage.ru_utime + usage.ru_stime, wall)


def _measure_demo(root: str) -> Table:
    """Runs the pipeline on the digits twice."""
    command = [sys.executable, "-m", "pipeline.local_runner", "--source=digits", f"--root={root}"]
    runs = []
    for title in ("make demo", "make demo, from the cache"):
        results.progress(f"startup: {title}")
        runs.append((_run(command), _steps(root)))
    return make_demo_table(*runs)


def _steps(root: str) -> dict[str, dict]:
    return json.loads(storage.read_text(os.path.join(root, "summary.json")))["steps"]


def make_demo_table(
    first: tuple[Duration, Mapping[str, Mapping]], cached: tuple[Duration, Mapping[str, Mapping]]
) -> Table:
    """Returns the table of two runs of the pipeline.

    A step from the cache does nothing but what TFX does for each step. A step that ran in both runs
    has no figure there. The "overhead" of a step, where the summary has it, is a column.

    Args:
        first, cached: duration of the command, and the steps of its summary.json.
    """
    (whole, steps), (second, again) = first, cached
    has_overhead = any("overhead" in step for step in steps.values())
    columns = (*_STEP_COLUMNS, *([Column("overhead s", ".2f")] if has_overhead else []))
    rows = []
    for name, step in steps.items():
        other = again.get(name, {})
        row = (name, step["seconds"], other.get("seconds") if other.get("cached") else None)
        rows.append((*row, *([step.get("overhead")] if has_overhead else [])))
    nothing = (None,) if has_overhead else ()
    sums = [sum(step["seconds"] for step in each.values()) for each in (steps, again)]
    rows.append(("start and end", whole.wall - sums[0], second.wall - sums[1], *nothing))
    rows.append(("in all", whole.wall, second.wall, *nothing))
    return Table(columns, rows, [f"CPU {whole.cpu:.0f} s, from the cache {second.cpu:.0f} s."])


if __name__ == "__main__":
    sys.exit(main())
