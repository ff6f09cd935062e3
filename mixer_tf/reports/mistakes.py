# SPDX-License-Identifier: Apache-2.0
"""Evaluates the model of a run on its prepared test images, with thumbnails of the mistakes."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Callable, Iterator

from mixer_tf.datasets import examples
from mixer_tf.evaluation import classification
from mixer_tf.evaluation.class_counts import where
from mixer_tf.evaluation.labeled_predictions import LabeledPredictions
from mixer_tf.features import TEST, ImageRecord
from mixer_tf.reports import mistake_facts
from mixer_tf.reports.facts import PIPELINE, TRAINING, EvaluationFacts, RunFacts
from mixer_tf.reports.mistake_facts import MAX_MISTAKES
from mixer_tf.serving import contract

PREPARED = "Preprocessor.preprocessed_examples"


def with_test_results(facts: RunFacts, progress: Callable[[int], None] | None = None) -> RunFacts:
    """Returns the facts with the classes and the mistakes of the test split.

    The figures of the pipeline's Evaluator stay; those of `mixer train` are new.

    Args:
        facts: facts of a run whose model and prepared images exist.
        progress: called after each batch with the number of images so far.

    Raises:
        ValueError: there is no model, or there are no prepared test images.
    """
    from mixer_tf.serving.predictor import Predictor

    shards = _shards(facts)
    if not facts.model:
        raise ValueError(f"--evaluate needs a model; {facts.root} has none. Finish the run first.")
    predictor = Predictor(facts.model)
    kept = LabeledPredictions(MAX_MISTAKES, with_previews=True)
    (scores,) = classification.evaluate(
        [predictor],
        _read(shards),
        progress=progress,
        keep=lambda index, record, prediction: kept.add(prediction, record),
    )
    before = facts.evaluation
    figures = (
        {"metrics": before.metrics, "slices": before.slices, "page": before.page}
        if before and before.split == TEST and facts.kind == PIPELINE
        else {}
    )
    found = dataclasses.replace(
        _describe(scores, predictor.class_names),
        **mistake_facts.describe(kept.mistakes.by_kind()),
        **figures,
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
        metrics[contract.top_k_metric()] = scores.top(contract.TOP_K)
    return EvaluationFacts(
        split=TEST,
        metrics=metrics,
        classes={name: (each.images, each.correct) for name, each in classes.items()},
        mistaken_for={name: each.mistaken_for for name, each in classes.items()},
        num_mistakes=scores.images - scores.correct,
        warnings=tuple(counts.warnings()),
        notes=tuple(counts.notes(class_names)),
    )
