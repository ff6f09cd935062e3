# SPDX-License-Identifier: Apache-2.0
"""`mixer evaluate`: top-1, top-k and per-class accuracy of an exported model on labeled images."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence

import click

from mixer_tf.cli import options
from mixer_tf.cli.command import Command
from mixer_tf.console import progress_counter
from mixer_tf.evaluation.report import MAX_MISTAKES, Report
from mixer_tf.messages import listing, visible


@click.command(cls=Command)
@click.argument("model")
@options.source_options
@click.option(
    "--split",
    type=click.Choice(["test", "eval", "train", "all"]),
    default="test",
    show_default=True,
    help="Which images; if the source has no splits, test is what `mixer train` holds out, about a "
    "tenth.",
)
@click.option("--batch-size", default=64, show_default=True, type=click.IntRange(min=1))
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print all metrics, and the answer for each image, as one JSON object.",
)
def evaluate(model, source, data_dir, split, batch_size, as_json) -> None:
    """Evaluates an exported model on the images of a source.

    MODEL is a SavedModel, a folder of its versions, the root of a pipeline, or the output of `mixer
    train`. The model gets the images as from a client: encoded bytes through the served signature.

    The most confident mistakes are listed. With --json, "answers" lists all images, each on a line
    of its own, with path, class, predicted class and its probability.

    \b
    Examples:
      mixer evaluate pets-model --source=folder:pets
      mixer evaluate runs/digits --source=digits --json
      mixer evaluate pets-model --source=folder:new-photos --split=all
      mixer evaluate pets-model --source=folder:pets --json | grep '"correct": false'
    """
    from mixer_tf.datasets.sources import opening
    from mixer_tf.evaluation import classification
    from mixer_tf.evaluation.answers import Answers
    from mixer_tf.serving import locations
    from mixer_tf.serving.predictor import Predictor

    opened = opening.open_source(source, data_dir)
    splits = opened.splits if split == "all" else [split]
    predictor = Predictor(locations.resolve_saved_model(model))
    _require_known_classes(opened, predictor)
    problems: list[tuple[str, str]] = []
    start = time.monotonic()
    with Answers(MAX_MISTAKES, keep_all=as_json) as answers:
        with progress_counter("images") as progress:
            scores = classification.evaluate(
                predictor,
                _usable_records(opened, splits, problems),
                batch_size=batch_size,
                progress=progress,
                keep=answers.add,
            )
        if not scores.images:
            raise click.ClickException(_nothing_to_evaluate(opened, split, problems))
        seconds = time.monotonic() - start
        report = Report(predictor, opened.spec, splits, scores, answers, problems, seconds)
        for line in report.to_json() if as_json else [report.to_text()]:
            click.echo(line)


def _require_known_classes(source, predictor) -> None:
    """Every prediction for a class that the model does not know is wrong."""
    unknown = [name for name in source.class_names if name not in predictor.class_names]
    missing = listing(unknown, show=visible)
    if len(unknown) == len(source.class_names):
        raise click.ClickException(
            "the source and the model must share classes; the model knows "
            f"{listing(predictor.class_names, show=visible)}, the source has {missing}."
        )
    if unknown:
        click.echo(
            f"note: the model does not know {missing}: all their images count as wrong", err=True
        )


def _usable_records(source, splits: Sequence[str], problems: list) -> Iterator:
    """Yields the usable images; appends (path, reason) of the others to `problems`."""
    from mixer_tf.datasets import validation
    from mixer_tf.images import UnusableImageError
    from mixer_tf.messages import printable

    shards = itertools.chain.from_iterable(source.shards_of(split) for split in splits)
    for record in itertools.chain.from_iterable(map(source.read, shards)):
        try:
            yield validation.check_record(record)
        except UnusableImageError as error:
            problems.append((printable(record.source), str(error)))


def _nothing_to_evaluate(source, split: str, problems: Sequence[tuple[str, str]]) -> str:
    if not problems:
        return (
            f"{source.spec} has no image in the split {split}; it has {', '.join(source.splits)}."
        )
    path, reason = problems[0]
    return f"none of {len(problems)} images can be used; the first is {visible(path)}: {reason}."
