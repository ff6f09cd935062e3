# SPDX-License-Identifier: Apache-2.0
"""Runs the pipeline on this machine: `python -m pipeline.local_runner --source=folder:PATH`."""

from __future__ import annotations

import re
import sys

import click

from mixer_tf import console, locks
from mixer_tf.messages import clear_message
from pipeline.options import pipeline_options, require_no_secrets, sources_help

NOTHING_PUSHED = 3
INTERRUPTED = 130  # as a shell has it: 128 + SIGINT

_HELP = f"""Runs the whole pipeline on this machine: from images to a served model.

SOURCE is one of

\b
{sources_help()}
Steps whose inputs and code did not change are taken from the cache. A run that was stopped
resumes, in the middle of training too. Of two runs with one root, the second one is refused.

\b
Exit codes:
  0    the run is complete; whether a model was pushed is in the summary
  1    an error; 2 for a wrong option
  {NOTHING_PUSHED}    with --require-push: the run is complete, but pushed no model
  {INTERRUPTED}  stopped with Ctrl-C

\b
Examples:
  python -m pipeline.local_runner
  python -m pipeline.local_runner --source=folder:~/pets --set training.epochs=30
  python -m pipeline.local_runner --source=folder:~/pets --from=Evaluator
"""

_ADVICE = "Wait until it has ended, or give this run a --root of its own."


_SETTINGS = {
    "help_option_names": ["-h", "--help"],
    "max_content_width": 100,
    "show_default": True,
}


@click.command(help=_HELP, context_settings=_SETTINGS)
@pipeline_options
@click.option("--from", "from_step", metavar="STEP", help="First step to run.")
@click.option("--to", "to_step", metavar="STEP", help="Last step to run.")
@click.option("--require-push", is_flag=True, help="Exit with 3 if this run pushes no model.")
@click.option("--verbose", is_flag=True, help="Also show the messages of the libraries.")
def main(**options) -> None:
    """Runs the pipeline; every error is one clear line, unless --verbose is given."""
    if not options["verbose"]:
        console.silence_libraries()
    try:
        pushed_model = _run(options)
    except KeyboardInterrupt:
        print("\nStopped; the same command resumes the run.", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except Exception as error:
        if options["verbose"]:
            raise
        print(f"\nError: {_one_clear_message(error, options)}", file=sys.stderr)
        sys.exit(1)
    if options["require_push"] and not pushed_model:
        sys.exit(NOTHING_PUSHED)


def _run(options: dict) -> str | None:
    """Runs what the options say, prints the summary, and returns the model that was pushed."""
    from pipeline.local import preparation

    require_no_secrets(options)  # before the name of a folder is made from the source
    with locks.exclusive(preparation.local_root(options), _ADVICE):
        config = preparation.prepare(options)
        from pipeline.local import run  # imports TFX, which takes seconds

        summary = run.run(config, options["from_step"], options["to_step"])
    print()
    print("\n".join(summary.lines()))
    return summary.pushed_model


def _one_clear_message(error: BaseException, options: dict) -> str:
    """The message of the first cause, without what Beam adds to it."""
    from pipeline.local import preparation
    from pipeline.local.step import StepError

    try:
        root = preparation.local_root(options)
    except ValueError:  # which is the error
        root = None
    step = f"{error.node_id}: " if isinstance(error, StepError) else ""
    cause = error.__cause__ if isinstance(error, StepError) else error
    return step + re.sub(r"\s*\[while running .*", "", clear_message(cause, root), flags=re.DOTALL)


if __name__ == "__main__":
    main()
