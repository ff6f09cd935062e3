# SPDX-License-Identifier: Apache-2.0
"""A page about the newest run of a root, from ML Metadata: `python -m pipeline.report ROOT`."""

from __future__ import annotations

import dataclasses
import os
import sys

import click

from mixer_tf import console
from mixer_tf.messages import clear_message


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("root")
@click.option("--output", metavar="FILE", help="The page. Default: report.html in ROOT.")
@click.option("--verbose", is_flag=True, help="Also show the messages of the libraries.")
def main(root: str, output: str | None, verbose: bool) -> None:
    """Writes a page about the newest run of a pipeline on this machine, whatever its state is.

    `mixer report ROOT` is faster; it reads the record of a run, which is complete when the run has
    ended. This command also reads a run that is still going on, one that was killed, and the runs
    of versions that kept no records.

    \b
    Examples:
      python -m pipeline.report runs/digits
      python -m pipeline.report runs/digits --output=killed.html
    """
    if not verbose:
        console.silence_libraries()
    try:
        path = _write(os.path.abspath(os.path.expanduser(root)), output)
    except Exception as error:
        if verbose:
            raise
        print(f"Error: {clear_message(error)}", file=sys.stderr)
        sys.exit(1)
    click.echo(f"page  {console.short_path(path)}")


def _write(root: str, output: str | None) -> str:
    from mixer_tf.reports import page

    return page.write_page(output or os.path.join(root, page.PAGE), _read(root))


def _read(root: str):
    """The facts of the newest run: its record, or, where that is not complete, ML Metadata."""
    from mixer_tf.reports import stored
    from mixer_tf.reports.facts import PIPELINE, UNFINISHED, RunFacts

    records = stored.list_records(root)
    known = RunFacts(PIPELINE, os.path.basename(root), root)
    if records:
        known = stored.read_record(records[-1])
        if known.state != UNFINISHED:
            return known
    path = os.path.join(root, stored.METADATA_FILE)
    if not os.path.exists(path):
        raise ValueError(f"ROOT must be the root of a pipeline on this machine; {path} is missing.")
    from tfx.orchestration import metadata  # takes seconds

    from pipeline.local.run_record import collect_run, state_of

    found = collect_run(known, metadata.sqlite_metadata_connection_config(path))
    return found if records else dataclasses.replace(found, state=state_of(found.steps))


if __name__ == "__main__":
    main()
