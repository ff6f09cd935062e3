# SPDX-License-Identifier: Apache-2.0
"""Runs the pipeline on this machine: `python -m pipeline.local_runner --source=folder:PATH`."""

from __future__ import annotations

import re
import sys

import click

from mixer_tf import console
from mixer_tf.messages import clear_message
from pipeline.options import pipeline_options, sources_help

_HELP = f"""Runs the whole pipeline on this machine: from images to a served model.

SOURCE is one of

\b
{sources_help()}
Steps whose inputs and code did not change are taken from the cache. A run that was stopped
resumes, in the middle of training too.

\b
Examples:
  python -m pipeline.local_runner
  python -m pipeline.local_runner --source=folder:~/pets --set training.epochs=30
  python -m pipeline.local_runner --source=folder:~/pets --from=Evaluator
"""


@click.command(help=_HELP, context_settings={"max_content_width": 100, "show_default": True})
@pipeline_options
@click.option("--from", "from_step", metavar="STEP", help="First step to run.")
@click.option("--to", "to_step", metavar="STEP", help="Last step to run.")
@click.option("--verbose", is_flag=True, help="Also show the messages of the libraries.")
def main(**options) -> None:
    """Runs the pipeline; every error is one clear line, unless --verbose is given."""
    if not options["verbose"]:
        console.silence_libraries()
    try:
        _run(options)
    except KeyboardInterrupt:
        print("\nStopped; the same command resumes the run.", file=sys.stderr)
        sys.exit(1)
    except Exception as error:
        if options["verbose"]:
            raise
        print(f"\nError: {_one_clear_message(error)}", file=sys.stderr)
        sys.exit(1)


def _run(options: dict) -> None:
    """Runs what the options say, and prints the summary."""
    from pipeline.local import preparation

    config = preparation.prepare(options)
    from pipeline.local import run  # imports TFX, which takes seconds

    summary = run.run(config, options["from_step"], options["to_step"])
    print()
    print("\n".join(summary.lines()))


def _one_clear_message(error: BaseException) -> str:
    """The message of the first cause, without what Beam adds to it."""
    from pipeline.local.step import StepError

    step = f"{error.node_id}: " if isinstance(error, StepError) else ""
    cause = error.__cause__ if isinstance(error, StepError) else error
    return step + re.sub(r"\s*\[while running .*", "", clear_message(cause), flags=re.DOTALL)


if __name__ == "__main__":
    main()
