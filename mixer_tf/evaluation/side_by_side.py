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
from mixer_tf.evaluation.answers import Answers
from mixer_tf.evaluation.answers_table import AnswersTable
from mixer_tf.evaluation.comparison import Comparison
from mixer_tf.evaluation.figures import Figures
from mixer_tf.evaluation.mistakes import MAX_PAGE_MISTAKES
from mixer_tf.evaluation.real_labels import RealLabels, RealScores
from mixer_tf.evaluation.report import MAX_MISTAKES, Report
from mixer_tf.features import ImageRecord
from mixer_tf.images import UnusableImageError
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
        top: number of classes in each answer, and the k of an additional top-k accuracy.
        batch_size: number of images in one call of a model.
        keep_all: whether to keep the answers for all images.
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


class _Pairs:
    """Remembers for each image which models are right, if there are several."""

    def __init__(self, models: Sequence[Model]):
        self._titles = [model.title for model in models]
        self._correct: list[list[bool]] = [[] for _ in models]
        self._predicted: list[list[str]] = [[] for _ in models]

    def add(self, index: int, answer: classification.Answer) -> None:
        if len(self._titles) > 1:
            self._correct[index].append(answer.is_correct)
            self._predicted[index].append(answer.predicted)

    def compare(self) -> list[Comparison]:
        correct, predicted = (
            dict(zip(self._titles, each, strict=True)) for each in (self._correct, self._predicted)
        )
        return comparison.compare(correct, predicted)


@contextlib.contextmanager
def evaluating(
    models: Sequence[Model],
    source: Source,
    splits: Sequence[str],
    options: Options,
    *,
    table: AnswersTable | None = None,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Outcome]:
    """Yields the results; the answers for all images are kept in files until the block ends.

    Args:
        models: the models, all of which are in memory.
        source: the images.
        splits: of the source.
        options: what to count and to keep.
        table: to add a row for each image and model to; None for none.
        progress: called after each batch with the number of images so far.

    Raises:
        ValueError: there is no usable image, or the images do not fit the ReaL labels.
    """
    start = time.monotonic()
    problems: list[tuple[str, str]] = []
    pairs, reals = _Pairs(models), [_real_scores(options.real, each) for each in models]
    number = MAX_PAGE_MISTAKES if options.with_previews else MAX_MISTAKES
    with contextlib.ExitStack() as stack:
        answers = [
            stack.enter_context(Answers(number, options.keep_all, options.with_previews))
            for _ in models
        ]

        def keep(index: int, record: ImageRecord, answer: classification.Answer) -> None:
            pairs.add(index, answer)
            real = reals[index]
            found = real.add(record.source, answer.predicted) if real else None
            answers[index].add(answer, record, **({"real": found} if real else {}))
            if table:
                table.add(index, answer, found)

        scores = classification.evaluate(
            [model.predictor for model in models],
            _usable_records(source, splits, problems),
            top=options.top,
            batch_size=options.batch_size,
            progress=progress,
            keep=keep,
        )
        if table:
            for problem in problems:
                table.add_unusable(*problem)
        if not scores[0].images:
            raise ValueError(_nothing_to_evaluate(source, splits, problems))
        seconds = time.monotonic() - start
        notes = tuple(options.real.notes()) if options.real else ()
        reports = [
            Report(
                *(model.predictor, source.spec, splits, scores[index], answers[index]),
                *(problems, seconds, options.top, reals[index], (*model.remarks, *notes)),
            )
            for index, model in enumerate(models)
        ]
        yield Outcome(reports, pairs.compare(), [model.title for model in models])


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
    source: Source, splits: Sequence[str], problems: list[tuple[str, str]]
) -> Iterator[ImageRecord]:
    """Yields the usable images; appends (path, reason) of the others to `problems`."""
    shards = itertools.chain.from_iterable(source.shards_of(split) for split in splits)
    for record in itertools.chain.from_iterable(map(source.read, shards)):
        try:
            yield validation.check_record(record)
        except UnusableImageError as error:
            problems.append((printable(record.source), str(error)))


def _nothing_to_evaluate(source: Source, splits: Sequence[str], problems) -> str:
    if not problems:
        return (
            f"{source.spec} has no image in the split {' or '.join(splits)}; it has "
            f"{', '.join(source.splits)}."
        )
    path, reason = problems[0]
    return f"none of {len(problems)} images can be used; the first is {visible(path)}: {reason}."
