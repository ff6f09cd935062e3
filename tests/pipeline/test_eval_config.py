# SPDX-License-Identifier: Apache-2.0
"""What blocks a push: the overall slice, and nothing else."""

import tensorflow_model_analysis as tfma

from pipeline.eval_config import TOP_1, make_eval_config


def _gated() -> list[tfma.MetricConfig]:
    """The metrics with any kind of threshold."""
    config = make_eval_config(min_accuracy=0.9, max_accuracy_drop=0.02)
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
    assert threshold.value_threshold.lower_bound.value == 0.9
    assert threshold.change_threshold.absolute.value == -0.02
    assert threshold.change_threshold.direction == tfma.MetricDirection.HIGHER_IS_BETTER


def test_config_is_one_that_tfma_accepts_with_and_without_a_baseline():
    for has_baseline in (False, True):
        config = tfma.utils.update_eval_config_with_defaults(
            make_eval_config(0.9, 0.02), has_baseline=has_baseline, rubber_stamp=True
        )
        tfma.utils.verify_eval_config(config)
