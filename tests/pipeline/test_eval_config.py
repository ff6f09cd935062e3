# SPDX-License-Identifier: Apache-2.0
"""Only top-1 accuracy over all images decides whether a model is blessed."""

import json

import numpy as np
import pytest
import tensorflow_model_analysis as tfma

from mixer_tf.serving import contract
from pipeline.eval_config import TOP_1, make_eval_config


def _gated(min_accuracy=0.9, max_accuracy_drop=0.02) -> list[tfma.MetricConfig]:
    """The metrics with any kind of threshold."""
    config = make_eval_config(min_accuracy, max_accuracy_drop)
    metrics = [metric for spec in config.metrics_specs for metric in spec.metrics]
    return [
        metric for metric in metrics if metric.HasField("threshold") or metric.per_slice_thresholds
    ]


def test_only_top_1_of_the_overall_slice_is_gated():
    (metric,) = _gated()
    assert f'"name": "{TOP_1}"' in metric.config
    assert not metric.HasField("threshold")  # which would apply to every class
    (per_slice,) = metric.per_slice_thresholds
    assert list(per_slice.slicing_specs) == [tfma.SlicingSpec()]


def test_both_thresholds_carry_the_given_values():
    threshold = _gated()[0].per_slice_thresholds[0].threshold
    assert threshold.value_threshold.lower_bound.value == pytest.approx(0.9, abs=2e-6)
    assert threshold.change_threshold.absolute.value == pytest.approx(-0.02, abs=2e-6)
    assert threshold.change_threshold.direction == tfma.MetricDirection.HIGHER_IS_BETTER


@pytest.mark.parametrize("percent", range(1, 100))
def test_a_model_that_exactly_reaches_a_threshold_is_blessed(percent):
    """Keras computes the accuracy in float32, TFMA compares it with a double."""
    reached = float(np.float32(percent / 100))
    (metric,) = _gated(min_accuracy=percent / 100, max_accuracy_drop=0.01)
    threshold = metric.per_slice_thresholds[0].threshold
    assert reached >= threshold.value_threshold.lower_bound.value
    fallen = float(np.float32((percent - 1) / 100))
    # TFMA subtracts in float64, and wants more than the threshold.
    assert fallen - reached > threshold.change_threshold.absolute.value
    assert float(np.float32((percent - 0.01) / 100)) < threshold.value_threshold.lower_bound.value


def test_config_is_one_that_tfma_accepts_with_and_without_a_baseline():
    for has_baseline in (False, True):
        config = tfma.utils.update_eval_config_with_defaults(
            make_eval_config(0.9, 0.02), has_baseline=has_baseline, rubber_stamp=True
        )
        tfma.utils.verify_eval_config(config)


def test_number_of_top_classes_is_that_of_the_contract(monkeypatch):
    monkeypatch.setattr(contract, "TOP_K", 3)
    metrics = make_eval_config(0.9, 0.02).metrics_specs[0].metrics
    (metric,) = [m for m in metrics if m.class_name == "SparseTopKCategoricalAccuracy"]
    assert json.loads(metric.config) == {"name": "top_3_accuracy", "k": 3}


def test_leaked_images_are_a_slice_without_a_threshold_where_they_are_marked():
    def slices(**options) -> list[list[str]]:
        config = make_eval_config(0.9, 0.02, **options)
        return [list(spec.feature_keys) for spec in config.slicing_specs]

    assert slices() == [[], ["image/class/text"]]
    assert slices(marked=True) == [[], ["image/class/text"], ["leaked"]]
    (metric,) = [
        metric
        for metric in make_eval_config(0.9, 0.02, marked=True).metrics_specs[0].metrics
        if metric.per_slice_thresholds
    ]
    assert [list(t.slicing_specs) for t in metric.per_slice_thresholds] == [[tfma.SlicingSpec()]]
