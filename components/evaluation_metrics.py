# SPDX-License-Identifier: Apache-2.0
"""Metrics of the Evaluator that TFMA does not have: whether a model is better than one answer.

TFMA imports this module by its name, in the worker processes of Beam too.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable

import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis import metrics
from tensorflow_model_analysis.metrics import metric_util

# Accumulator: images by label, images by answer, number of correct answers.
_Counts = tuple[collections.Counter, collections.Counter, int]


class CorrectAboveLargestClass(metrics.Metric):
    """The number of right answers beyond those that always answering the largest class would give.

    It is 1 or more for a model that is right more often, whatever the distribution of the classes.
    A second value is the number of different top-1 classes. For the images of a single class, the
    first value is the negative number of mistakes.

    Labels are indices, predictions are probabilities in label order.
    """

    def __init__(self, name: str, answers_name: str, fingerprint: str = ""):
        """Makes the metric.

        Args:
            name: the name of the first value.
            answers_name: the name of the second value.
            fingerprint: the state of the code, for the cache key of the Evaluator.
        """
        super().__init__(
            metric_util.merge_per_key_computations(_computations),
            name=name,
            answers_name=answers_name,
            fingerprint=fingerprint,
        )

    @property
    def compute_confidence_interval(self) -> bool:
        return False


def _computations(
    name: str,
    answers_name: str,
    fingerprint: str,
    eval_config: tfma.EvalConfig | None = None,
    model_name: str = "",
    output_name: str = "",
) -> metrics.MetricComputations:
    keys = [
        metrics.MetricKey(name=each, model_name=model_name, output_name=output_name)
        for each in (name, answers_name)
    ]
    combiner = _CountAnswers(keys, eval_config)
    return [metrics.MetricComputation(keys=keys, preprocessors=None, combiner=combiner)]


class _CountAnswers(beam.CombineFn):
    """Standard metric inputs → the two values."""

    def __init__(self, keys: list[metrics.MetricKey], eval_config: tfma.EvalConfig | None):
        self._keys = keys
        self._options = dict(
            eval_config=eval_config,
            model_name=keys[0].model_name,
            output_name=keys[0].output_name,
            flatten=False,
        )

    def create_accumulator(self) -> _Counts:
        return collections.Counter(), collections.Counter(), 0

    def add_input(self, accumulator: _Counts, element: metrics.StandardMetricInputs) -> _Counts:
        labels, answers, correct = accumulator
        parsed = metric_util.to_label_prediction_example_weight(element, **self._options)
        for label, probabilities, _ in parsed:
            label, answer = int(label.item()), int(np.argmax(probabilities))
            labels[label] += 1
            answers[answer] += 1
            correct += label == answer
        return labels, answers, correct

    def merge_accumulators(self, accumulators: Iterable[_Counts]) -> _Counts:
        labels, answers, correct = self.create_accumulator()
        for more_labels, more_answers, more_correct in accumulators:
            labels.update(more_labels)
            answers.update(more_answers)
            correct += more_correct
        return labels, answers, correct

    def extract_output(self, accumulator: _Counts) -> dict[metrics.MetricKey, float]:
        labels, answers, correct = accumulator
        values = (correct - max(labels.values(), default=0), len(answers))
        return dict(zip(self._keys, map(float, values), strict=True))
