# SPDX-License-Identifier: Apache-2.0
"""`mixer evaluate`: top-1, top-5 and every class, for an exported model on images with labels."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence

import click

from mixer_tf.cli.command import Command
from mixer_tf.cli.train import SOURCE_HELP
from mixer_tf.console import progress_counter
from mixer_tf.evaluation.report import Report


@click.command(cls=Command)
@click.argument("model")
@click.option("--source", required=True, help=SOURCE_HELP)
@click.option("--data-dir", metavar="PATH", help="Where prepared TFDS datasets lie.")
@click.option(
    "--split",
    type=click.Choice(["test", "eval", "train", "all"]),
    default="test",
    show_default=True,
    help="Which images; where a source has no splits, test is what a training held out.",
)
@click.option("--batch-size", default=64, show_default=True, type=click.IntRange(min=1))
@click.option("--json", "as_json", is_flag=True, help="All figures as one JSON object.")
def evaluate(model, source, data_dir, split, batch_size, as_json) -> None:
    """Measures an exported model on the images of a source.

    MODEL is a SavedModel, a folder of its versions, the root of a pipeline, or the output of `mixer
    train`. The images take the way of a client's: encoded bytes through the served signature.

    \b
    Examples:
      mixer evaluate pets-model --source=folder:pets
      mixer evaluate runs/digits --source=digits --json
      mixer evaluate pets-model --source=folder:new-photos --split=all
    """
    from mixer_tf.datasets.sources import opening
    from mixer_tf.evaluation import classification
    from mixer_tf.serving import locations
    from mixer_tf.serving.predictor import Predictor

    opened = opening.open_source(source, data_dir)
    splits = opened.splits if split == "all" else [split]
    predictor = Predictor(locations.resolve_saved_model(model))
    _require_known_classes(opened, predictor)
    problems: list[tuple[str, str]] = []
    start = time.monotonic()
    with progress_counter("images") as progress:
        scores = classification.evaluate(
            predictor,
            _usable_records(opened, splits, problems),
            batch_size=batch_size,
            progress=progress,
        )
    if not scores.images:
        raise click.ClickException(_nothing_to_measure(opened, split, problems))
    report = Report(predictor, opened.spec, splits, scores, problems, time.monotonic() - start)
    click.echo(report.to_json() if as_json else report.to_text())


def _require_known_classes(source, predictor) -> None:
    """Images of a class that the model does not know cannot but be wrong."""
    unknown = [name for name in source.class_names if name not in predictor.class_names]
    if len(unknown) == len(source.class_names):
        raise click.ClickException(
            f"the source and the model must share classes; the model knows "
            f"{_shortened(predictor.class_names)}, the source has {_shortened(unknown)}."
        )
    if unknown:
        click.echo(f"note: the model does not know {_shortened(unknown)}: all wrong", err=True)


def _shortened(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _usable_records(source, splits: Sequence[str], problems: list) -> Iterator:
    """Yields the images that can be used; (path, reason) of the others goes to `problems`."""
    from mixer_tf.datasets import validation
    from mixer_tf.images import UnusableImageError
    from mixer_tf.messages import printable

    entries = itertools.chain.from_iterable(source.shards_of(split) for split in splits)
    for record in itertools.chain.from_iterable(map(source.read, entries)):
        try:
            yield validation.check_record(record)
        except UnusableImageError as error:
            problems.append((printable(record.source), str(error)))


def _nothing_to_measure(source, split: str, problems: Sequence[tuple[str, str]]) -> str:
    if not problems:
        return f"{source.spec} has no image in {split}; it has {', '.join(source.splits)}."
    path, reason = problems[0]
    return f"none of {len(problems)} images can be used; the first is {path}: {reason}."
