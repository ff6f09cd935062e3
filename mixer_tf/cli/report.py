# SPDX-License-Identifier: Apache-2.0
"""`mixer report`: one page about a run, from the data to the served model."""

from __future__ import annotations

import os
import shlex

import click

from mixer_tf import console, storage
from mixer_tf.cli.command import Command

_UNFINISHED = (
    "the run has not ended, or was killed; what it has done until now is shown by python -m "
    "pipeline.report"
)


@click.command(cls=Command)
@click.argument("root")
@click.option("--output", metavar="FILE", help="The page. Default: report.html in ROOT.")
@click.option(
    "--evaluate",
    "with_mistakes",
    is_flag=True,
    help="Classify the test images of the run with its model first, and show the classes and the "
    "mistakes with thumbnails: for the output of `mixer train`, and for runs of a pipeline whose "
    "Evaluator has listed no mistakes.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the facts as JSON; write no page.")
def report(root, output, with_mistakes, as_json) -> None:
    """Writes one page about a run, from the data to the served model.

    ROOT is the root of a pipeline, of which the newest run is shown, or the output of `mixer
    train`; or the file of one run in ROOT/reports.

    The page has the source and the counts of the images, unusable images, near-duplicates,
    statistics, the recipe and what was changed of it, the curves of the training, the evaluation by
    class, the gates and why a model was not pushed, the executions and artifacts in ML Metadata,
    and the commands that repeat the run. What did not run is said. It is one file, which loads
    nothing from elsewhere and runs no script.

    \b
    Examples:
      mixer report runs/digits
      mixer report pets-model --evaluate --output=pets.html
      mixer report runs/digits --json | python -m json.tool
    """
    if output and not output.lower().endswith((".html", ".htm")):
        raise click.UsageError(f"--output must end in .html; got {output}.")
    if output:
        output = os.path.expanduser(output)
        storage.require_writable(output, "--output")
    from mixer_tf.reports import page, stored
    from mixer_tf.reports.facts import PIPELINE, UNFINISHED

    facts = stored.newest(root)
    if with_mistakes:
        from mixer_tf.reports.mistakes import with_test_results

        with console.progress_counter("images") as progress:
            facts = with_test_results(facts, progress)
    if as_json:
        click.echo(facts.to_json(), nl=False)
        return
    if facts.state == UNFINISHED and facts.kind == PIPELINE:
        click.echo(f"note: {_UNFINISHED} {shlex.join([facts.root])}", err=True)
    path = output or os.path.join(facts.root, page.PAGE)
    click.echo(f"page  {console.short_path(page.write_page(path, facts))}")
