# SPDX-License-Identifier: Apache-2.0
"""`mixer check`: does a served model answer as the trained one, and refuse what is wrong?"""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
from collections.abc import Iterator

import click

from mixer_tf.cli.command import Command
from mixer_tf.console import activity, progress_counter


@click.command(cls=Command)
@click.argument("model")
@click.option(
    "--images",
    "count",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="Number of images to compare.",
)
@click.option(
    "--source",
    help="Images to compare, as `mixer evaluate` takes them. Default: generated ones of every "
    "format and kind that training accepts.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
def check(model: str, count: int, source: str | None, as_json: bool) -> None:
    """Checks that an exported model can be served.

    MODEL is a SavedModel, a folder of its versions, the root of a pipeline, or the output of `mixer
    train`. A process without mixer_tf compares its answers with those stored at export. Then it is
    served on this machine, on the CPU: for each image, every signature must answer as the trained
    model does, within 1e-6 for probabilities; and wrong requests must be refused without harm to
    the next one. Each image is sent in one batch, of 1, 7 or 64 in turn, over REST or gRPC in turn.

    \b
    Examples:
      mixer check pets-model
      mixer check runs/digits --source=digits --images=200
    """
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # before TensorFlow is imported
    from mixer_tf.export import check_process, served_check
    from mixer_tf.serving import locations

    folder = locations.resolve_saved_model(model)
    with activity("comparing stored answers in a process without mixer_tf"):
        stored = check_process.check(folder)
    if stored["reason"]:
        raise click.ClickException(f"{stored['reason']}.")
    files = _source_files(source) if source else None
    try:
        with progress_counter("images compared") as progress:
            report = served_check.check_served(folder, files, count, progress)
    except served_check.FailedCheck as error:
        raise click.ClickException(f"{error}.") from error
    if as_json:
        click.echo(json.dumps({"stored": stored, **dataclasses.asdict(report)}))
    else:
        click.echo(_to_text(stored, report))


def _source_files(spec: str) -> Iterator[tuple[str, bytes]]:
    """Yields (format, file) of the usable images of a source."""
    from mixer_tf.datasets import validation
    from mixer_tf.datasets.sources import opening
    from mixer_tf.images import UnusableImageError

    source = opening.open_source(spec)
    shards = itertools.chain.from_iterable(map(source.shards_of, source.splits))
    for record in itertools.chain.from_iterable(map(source.read, shards)):
        try:
            validation.check_record(record)
        except UnusableImageError:
            continue
        yield record.format, record.encoded


def _to_text(stored: dict, report) -> str:
    sizes = ", ".join(map(str, report.batch_sizes))
    lines = [
        f"stored answers    {stored['requests']} requests in a process without mixer_tf, largest "
        f"difference {stored['largest_difference']:.1e}",
        f"served = trained  {report.images:,} images, batches of {sizes}, "
        f"{' and '.join(report.transports)}",
    ]
    for signature, difference in report.differences.items():
        lines.append(f"  {signature:<16}largest difference {difference:.1e}")
    lines.append(f"wrong requests    {report.wrong_inputs} refused, each followed by an answer")
    lines.append(f"served formats    {', '.join(report.served)}")
    if report.refused:
        lines.append(f"refused formats   {', '.join(report.refused)}: convert them to PNG or JPEG")
    return "\n".join(lines)
