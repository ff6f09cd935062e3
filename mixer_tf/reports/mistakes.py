# SPDX-License-Identifier: Apache-2.0
"""Evaluates the model of a run on its prepared test images, with thumbnails of the mistakes."""

from __future__ import annotations

import base64
import dataclasses
import itertools
import os
from collections.abc import Callable, Iterator

from mixer_tf.datasets import examples
from mixer_tf.evaluation import classification
from mixer_tf.evaluation.class_counts import where
from mixer_tf.evaluation.classification import Answer
from mixer_tf.features import TEST, ImageRecord
from mixer_tf.images import UnusableImageError, thumbnails
from mixer_tf.reports.facts import TRAINING, EvaluationFacts, Mistake, RunFacts
from mixer_tf.reports.other_results import MAX_MISTAKES
from mixer_tf.serving import contract

PREPARED = "Preprocessor.preprocessed_examples"
_SIZE = 128  # of a thumbnail, in pixels


def with_test_results(facts: RunFacts, progress: Callable[[int], None] | None = None) -> RunFacts:
    """Returns the facts with the classes and the mistakes of the test split.

    The figures of the pipeline's Evaluator stay; those of `mixer train` are new.

    Args:
        facts: of a run whose model and prepared images exist.
        progress: called after each batch with the number of images so far.

    Raises:
        ValueError: there is no model, or there are no prepared test images.
    """
    from mixer_tf.serving.predictor import Predictor

    shards = _shards(facts)
    if not facts.model:
        raise ValueError(f"--evaluate needs a model; {facts.root} has none. Finish the run first.")
    predictor = Predictor(facts.model)
    wrong: list[tuple[int, Answer]] = []
    numbers = itertools.count()

    def keep(index: int, record: ImageRecord, answer: Answer) -> None:
        number = next(numbers)
        if not answer.is_correct:
            wrong.append((number, answer))

    (scores,) = classification.evaluate([predictor], _read(shards), progress=progress, keep=keep)
    worst = sorted(wrong, key=lambda found: -found[1].probability)[:MAX_MISTAKES]
    found = _describe(scores, predictor.class_names)
    before = facts.evaluation
    figures = (
        {"metrics": before.metrics, "slices": before.slices}
        if before and before.split == TEST
        else {}
    )
    found = dataclasses.replace(
        found, mistakes=_with_thumbnails(worst, shards), num_mistakes=len(wrong), **figures
    )
    return dataclasses.replace(facts, evaluation=found)


def _shards(facts: RunFacts) -> list[str]:
    if facts.kind == TRAINING:
        folder = os.path.join(facts.root, "data")
    else:
        folder = next((each.uri for each in facts.artifacts if each.name == PREPARED), "")
    shards = examples.list_shards(folder, TEST) if folder else []
    if not shards:
        raise ValueError(
            f"--evaluate needs the test images as the run has prepared them; {facts.root} has none."
        )
    return shards


def _read(shards: list[str]) -> Iterator[ImageRecord]:
    return itertools.chain.from_iterable(map(examples.read_records, shards))


def _describe(scores, class_names) -> EvaluationFacts:
    if not scores.images:
        raise ValueError("--evaluate needs test images; the test split of the run has none.")
    counts = scores.class_counts(where(TEST))
    classes = {n: each for n, each in scores.by_class(class_names).items() if each.images}
    metrics = {"accuracy": scores.top_1, "example_count": float(scores.images)}
    if len(class_names) > contract.TOP_K:
        metrics[contract.top_k_metric()] = scores.top_k
    return EvaluationFacts(
        split=TEST,
        metrics=metrics,
        classes={name: (each.images, each.correct) for name, each in classes.items()},
        mistaken_for={name: each.mistaken_for for name, each in classes.items()},
        warnings=tuple(counts.warnings()),
        notes=tuple(counts.notes(class_names)),
    )


def _with_thumbnails(worst: list[tuple[int, Answer]], shards: list[str]) -> tuple[Mistake, ...]:
    """The mistakes in their order; the images are read a second time."""
    wanted = {number for number, _ in worst}
    images = {n: record for n, record in enumerate(_read(shards)) if n in wanted} if wanted else {}
    return tuple(
        Mistake(
            image=answer.image,
            class_name=answer.class_name,
            predicted=answer.predicted,
            probability=answer.probability,
            thumbnail=_thumbnail(images[number]),
        )
        for number, answer in worst
    )


def _thumbnail(record: ImageRecord) -> str:
    try:
        return base64.b64encode(thumbnails.make_preview(record.encoded, _SIZE)).decode()
    except UnusableImageError:  # the model's decoder has read it; that of the thumbnails differs
        return ""
