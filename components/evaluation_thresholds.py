# SPDX-License-Identifier: Apache-2.0
"""Which thresholds of the Evaluator a model has missed."""

from __future__ import annotations

from components.evaluations import ABOVE_LARGEST_CLASS


def missed_thresholds(folder: str) -> list[str]:
    """Returns one clause for each threshold, such as "accuracy 0.9417, required 0.9600".

    The Pusher names one of them by itself, which is left out here. Imports TFMA.

    Args:
        folder: the folder of a ModelEvaluation artifact.
    """
    import tensorflow_model_analysis as tfma

    result = tfma.load_validation_result(folder)
    slices = result.metric_validations_per_slice if result else ()
    return [
        _clause(failure)
        for found in slices
        for failure in found.failures
        if failure.metric_key.name != ABOVE_LARGEST_CLASS
    ]


def _clause(failure) -> str:
    value = failure.metric_value.double_value.value
    if failure.metric_key.is_diff:
        allowed = failure.metric_threshold.change_threshold.absolute.value
        return f"{failure.metric_key.name} changed by {value:+.4f}, allowed {allowed:+.4f}"
    required = failure.metric_threshold.value_threshold.lower_bound.value
    return f"{failure.metric_key.name} {value:.4f}, required {required:.4f}"
