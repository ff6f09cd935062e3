# SPDX-License-Identifier: Apache-2.0
"""The command `python -m pipeline.flink`: starts Flink, runs the pipeline on it, and stops it."""

from __future__ import annotations

import subprocess
import sys

import click

from mixer_tf.messages import clear_message
from pipeline.flink import engine

_HELP = """Apache Flink on this machine, for the steps of the pipeline that run on Apache Beam.

It shows, before a real cluster is paid for, that a pipeline runs on Flink. It is not faster than
--beam='--direct_running_mode=multi_processing --direct_num_workers=0', which uses all cores.

\b
Examples:
  python -m pipeline.flink run -- --source=folder:~/pets --to=Preprocessor
  python -m pipeline.flink run --cluster --task-managers=2 -- --source=digits
  python -m pipeline.flink start; … ; python -m pipeline.flink stop
"""
_SETTINGS = {
    "help_option_names": ["-h", "--help"],
    "max_content_width": 100,
    "show_default": True,
}
_OPTIONS = (
    click.option(
        "--cluster",
        is_flag=True,
        help="A JobManager, TaskManagers and a pool of worker processes, instead of Flink within "
        "Beam's job server.",
    ),
    click.option(
        "--task-managers",
        type=click.IntRange(min=1),
        default=1,
        help="With --cluster: number of TaskManagers; each takes 1 to 2 GB.",
    ),
    click.option(
        "--slots",
        type=click.IntRange(min=1),
        default=2,
        help="Tasks at a time, of each TaskManager or of the Flink within the job server.",
    ),
)


def _engine_options(command):
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.group(help=_HELP, context_settings=_SETTINGS)
def main() -> None:
    pass


@main.command()
@_engine_options
def start(**options) -> None:
    """Start Flink and print the option of the local runner; it runs until `stop`."""
    print(engine.quoted(_start(options)))


@main.command()
def stop() -> None:
    """End all processes that `start` started."""
    print(f"stopped: {', '.join(engine.stop()) or 'nothing was running'}")


@main.command(context_settings={"ignore_unknown_options": True})
@_engine_options
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run(arguments, **options) -> None:
    """Start Flink, run `python -m pipeline.local_runner ARGUMENTS` on it, and stop it."""
    started = _start(options)
    command = [sys.executable, "-m", "pipeline.local_runner", f"--beam={started.beam}"]
    try:
        code = subprocess.run([*command, *arguments], cwd=engine.ROOT).returncode
    except KeyboardInterrupt:
        code = 130
    finally:
        engine.stop()
    sys.exit(code)


def _start(options: dict) -> engine.Engine:
    try:
        return engine.start(**options)
    except (ValueError, RuntimeError, OSError) as error:
        print(f"Error: {clear_message(error)}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
