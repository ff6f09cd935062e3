# SPDX-License-Identifier: Apache-2.0
"""Evaluates one or several models on the same images of a source, in one pass over the images."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import time
from collections.abc import Callable, Iterator, Sequence

from mixer_tf.datasets import validation
from mixer_tf.datasets.sources.source import Source
from mixer_tf.evaluation import classification, comparison, label_spaces, real_labels
from mixer_tf.evaluation.comparison import Comparison
from mixer_tf.evaluation.figures import Figures
from mixer_tf.evaluation.labeled_predictions import LabeledPredictions
from mixer_tf.evaluation.mistakes import MAX_PAGE_MISTAKES
from mixer_tf.evaluation.predictions_table import PredictionsTable
from mixer_tf.evaluation.real_labels import RealLabels, RealScores
from mixer_tf.evaluation.report import MAX_MISTAKES, Report
from mixer_tf.features import ImageRecord
from mixer_tf.messages import listing, printable, visible
from mixer_tf.serving import contract


@dataclasses.dataclass(frozen=True)
class Model:
    """A model to evaluate.

    Attributes:
        title: how the output calls it.
        predictor: the loaded model.
        remarks: notes, such as how its classes were matched.
    """

    title: str
    predictor: object
    remarks: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Options:
    """What to count and to keep.

    Attributes:
        top: number of classes in each prediction, and the k of an additional top-k accuracy.
        batch_size: number of images in one call of a model.
        keep_all: whether to keep the predictions for all images.
        with_previews: whether to keep small images of the mistakes.
        real: the ReaL labels; None for none.
    """

    top: int = contract.TOP_K
    batch_size: int = 64
    keep_all: bool = False
    with_previews: bool = False
    real: RealLabels | None = None


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The results, one report for each model, and a comparison for each pair of models."""

    reports: Sequence[Report]
    comparisons: Sequence[Comparison]
    titles: Sequence[str]

    def figures(self) -> list[Figures]:
        """Returns what a page shows; several models are called by their titles."""
        found = [report.figures() for report in self.reports]
        if len(found) == 1:
            return found
        return [
            dataclasses.replace(each, model=title)
            for each, title in zip(found, self.titles, strict=True)
        ]


class _Collector:
    """Collects the predictions of all models.

    Args:
        models: the models.
        predictions: what keeps those of each model.
        real: the ReaL labels; None for none.
        table: gets a row for each image and model; None for none.
    """

    def __init__(
        self,
        models: Sequence[Model],
        predictions: Sequence[LabeledPredictions],
        real: RealLabels | None,
        table: PredictionsTable | None,
    ):
        self.models, self.predictions = models, predictions
        self.real_scores = [_real_scores(real, model) for model in models]
        self.problems: list[tuple[str, str]] = []
        self._table = table
        # Which models are right, for each image.
        self._correct: list[list[bool]] = [[] for _ in models]
        self._predicted: list[list[str]] = [[] for _ in models]

    def add(
        self, index: int, record: ImageRecord, prediction: classification.LabeledPrediction
    ) -> None:
        """Adds the prediction of the model at `index`."""
        if len(self.models) > 1:
            self._correct[index].append(prediction.is_correct)
            self._predicted[index].append(prediction.predicted)
        real_scores = self.real_scores[index]
        real = real_scores.add(record.source, prediction.predicted) if real_scores else None
        self.predictions[index].add(prediction, record, **({"real": real} if real_scores else {}))
        if self._table:
            self._table.add(index, prediction, real)

    def add_unusable(self, path: str, reason: str) -> None:
        self.problems.append((path, reason))

    def end(self) -> None:
        """Adds the unusable images to the table, below the others."""
        if self._table:
            for problem in self.problems:
                self._table.add_unusable(*problem)

    def comparisons(self) -> list[Comparison]:
        titles = [model.title for model in self.models]
        correct, predicted = (
            dict(zip(titles, each, strict=True)) for each in (self._correct, self._predicted)
        )
        return comparison.compare(correct, predicted)


@contextlib.contextmanager
def evaluating(
    models: Sequence[Model],
    source: Source,
    splits: Sequence[str],
    options: Options,
    *,
    table: PredictionsTable | None = None,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Outcome]:
    """Yields the results; the predictions for all images are kept in files until the block ends.

    Args:
        models: the models, all of which are in memory.
        source: the images.
        splits: splits of the source.
        options: what to count and to keep.
        table: to add a row for each image and model to; None for none.
        progress: called after each batch with the number of images so far.

    Raises:
        ValueError: there is no usable image, or the images do not fit the ReaL labels.
    """
    start = time.monotonic()
    number = MAX_PAGE_MISTAKES if options.with_previews else MAX_MISTAKES
    with contextlib.ExitStack() as stack:
        predictions = [
            stack.enter_context(LabeledPredictions(number, options.keep_all, options.with_previews))
            for _ in models
        ]
        collector = _Collector(models, predictions, options.real, table)
        scores = classification.evaluate(
            [model.predictor for model in models],
            _usable_records(source, splits, collector.add_unusable),
            top=options.top,
            batch_size=options.batch_size,
            progress=progress,
            keep=collector.add,
        )
        collector.end()
        if not scores[0].images:
            raise ValueError(_nothing_to_evaluate(source, splits, collector.problems))
        seconds = time.monotonic() - start
        notes = tuple(options.real.notes()) if options.real else ()
        reports = [
            Report(
                predictor=model.predictor,
                source=source.spec,
                splits=splits,
                scores=scores[index],
                predictions=predictions[index],
                problems=collector.problems,
                seconds=seconds,
                top=options.top,
                real=collector.real_scores[index],
                remarks=(*model.remarks, *notes),
            )
            for index, model in enumerate(models)
        ]
        yield Outcome(reports, collector.comparisons(), [model.title for model in models])


def _real_scores(labels: RealLabels | None, model: Model) -> RealScores | None:
    if labels is None:
        return None
    names = label_spaces.names_of_classes(model.predictor)
    return RealScores(labels, real_labels.labels_of_classes(*names))


def require_known_classes(source: Source, model: Model) -> str:
    """Returns a note of the classes that a model does not know; "" if it knows all.

    Every prediction for such a class is wrong.

    Raises:
        ValueError: it knows none of the classes.
    """
    known = set(model.predictor.class_names)
    unknown = [name for name in source.class_names if name not in known]
    missing = listing(unknown, show=visible)
    if unknown and len(unknown) == len(source.class_names):
        raise ValueError(
            "the source and the model must share classes; the model knows "
            f"{listing(model.predictor.class_names, show=visible)}, the source has {missing}. "
            "--match-classes compares the synonyms in names such as 'tabby, tabby cat'."
        )
    if not unknown:
        return ""
    return f"the model does not know {missing}: all their images count as wrong"


def count_images(source: Source, splits: Sequence[str]) -> int | None:
    """Returns the number of images, or None where they would have to be read for it."""
    if source.image_ids is None:
        return None
    shards = itertools.chain.from_iterable(source.shards_of(split) for split in splits)
    return sum(sum(1 for _ in source.ids(shard)) for shard in shards)


def _usable_records(
    source: Source, splits: Sequence[str], add_unusable: Callable[[str, str], None]
) -> Iterator[ImageRecord]:
    """Returns the usable images; path and reason of the others are handed over."""
    shards = itertools.chain.from_iterable(source.shards_of(split) for split in splits)
    return validation.usable_records(
        itertools.chain.from_iterable(map(source.read, shards)),
        lambda record, error: add_unusable(printable(record.source), str(error)),
    )


def _nothing_to_evaluate(source: Source, splits: Sequence[str], problems) -> str:
    if not problems:
        return (
            f"{source.spec} has no image in the split {' or '.join(splits)}; it has "
            f"{', '.join(source.splits)}."
        )
    path, reason = problems[0]
    return f"none of {len(problems)} images can be used; the first is {visible(path)}: {reason}."
