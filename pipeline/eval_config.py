# SPDX-License-Identifier: Apache-2.0
"""The metrics of the Evaluator on the test split, and the thresholds for a blessing."""

from __future__ import annotations

import tensorflow_model_analysis as tfma

from components import evaluation_metrics
from components.evaluations import (
    ABOVE_LARGEST_CLASS,
    CALIBRATION_ERROR,
    CALIBRATION_PLOT,
    CONFUSION_PLOT,
    CROSS_ENTROPY,
    EXAMPLE_COUNT,
    NUM_PREDICTED,
    TOP_1,
)
from mixer_tf import features
from mixer_tf.serving import contract

# An accuracy is a float32, a threshold a double: 95 of 100 are 0.949999988, which reach 0.95.
_ROUNDING = 1e-6


def make_eval_config(
    min_accuracy: float | None,
    max_accuracy_drop: float,
    fingerprint: str = "",
    *,
    marked: bool = False,
) -> tfma.EvalConfig:
    """Returns top-1, top-k, cross-entropy, and top-1 above the largest class, overall and by class.

    The calibration, and the plots of the calibration and the confusion matrix, are for the page.

    Only the overall slice is gated: a threshold without slices applies to every class, and a
    class with a dozen images would block a model by chance.

    Args:
        min_accuracy: the lowest top-1 accuracy, in [0, 1]; None if the model must be right more
            often than always predicting the largest class of the test split.
        max_accuracy_drop: how far top-1 accuracy may fall below the baseline's, in [0, 1].
        fingerprint: the state of the code of our metric; the cache key of the Evaluator holds it.
        marked: whether the examples say which of them have a duplicate in training; those with
            and those without one are then evaluated by themselves as well.
    """
    slices = [tfma.SlicingSpec(), tfma.SlicingSpec(feature_keys=[features.CLASS_NAME])]
    slices += [tfma.SlicingSpec(feature_keys=[features.LEAKED])] if marked else []
    return tfma.EvalConfig(
        model_specs=[
            tfma.ModelSpec(
                signature_name=contract.EXAMPLES_SIGNATURE,
                prediction_key=contract.PROBABILITIES,
                label_key=features.LABEL,
            )
        ],
        slicing_specs=slices,
        metrics_specs=[
            tfma.MetricsSpec(
                metrics=[
                    _metric("ExampleCount", EXAMPLE_COUNT),
                    _metric("SparseCategoricalCrossentropy", CROSS_ENTROPY),
                    _metric(
                        "SparseTopKCategoricalAccuracy",
                        contract.top_k_metric(),
                        f'"k": {contract.TOP_K}',
                    ),
                    _gated_top_1(min_accuracy or 0.0, max_accuracy_drop),
                    _above_largest_class(fingerprint, is_gated=min_accuracy is None),
                    _calibration(fingerprint),
                    # The predictions are at least 0, so that every image has a prediction.
                    _metric("MultiClassConfusionMatrixPlot", CONFUSION_PLOT),
                ]
            )
        ],
    )


def _metric(class_name: str, name: str, *config: str) -> tfma.MetricConfig:
    fields = ", ".join([f'"name": "{name}"', *config])
    return tfma.MetricConfig(class_name=class_name, config="{" + fields + "}")


def _gated_top_1(min_accuracy: float, max_accuracy_drop: float) -> tfma.MetricConfig:
    metric = _metric("SparseCategoricalAccuracy", TOP_1)
    threshold = tfma.MetricThreshold(
        value_threshold=tfma.GenericValueThreshold(
            lower_bound={"value": max(0.0, min_accuracy - _ROUNDING)}
        ),
        change_threshold=tfma.GenericChangeThreshold(
            direction=tfma.MetricDirection.HIGHER_IS_BETTER,
            absolute={"value": -(max_accuracy_drop + _ROUNDING)},
        ),
    )
    metric.per_slice_thresholds.append(_overall(threshold))
    return metric


def _above_largest_class(fingerprint: str, is_gated: bool) -> tfma.MetricConfig:
    """A model that is not better than one class is not a baseline for later runs either."""
    metric = _metric(
        evaluation_metrics.CorrectAboveLargestClass.__name__,
        ABOVE_LARGEST_CLASS,
        f'"predicted_name": "{NUM_PREDICTED}"',
        f'"fingerprint": "{fingerprint}"',
    )
    metric.module = evaluation_metrics.__name__
    if is_gated:
        at_least_one = tfma.GenericValueThreshold(lower_bound={"value": 1.0})
        metric.per_slice_thresholds.append(
            _overall(tfma.MetricThreshold(value_threshold=at_least_one))
        )
    return metric


def _calibration(fingerprint: str) -> tfma.MetricConfig:
    metric = _metric(
        evaluation_metrics.AnswerCalibration.__name__,
        CALIBRATION_ERROR,
        f'"plot_name": "{CALIBRATION_PLOT}"',
        f'"fingerprint": "{fingerprint}"',
    )
    metric.module = evaluation_metrics.__name__
    return metric


def _overall(threshold: tfma.MetricThreshold) -> tfma.PerSliceMetricThreshold:
    return tfma.PerSliceMetricThreshold(slicing_specs=[tfma.SlicingSpec()], threshold=threshold)
