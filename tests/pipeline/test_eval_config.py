# SPDX-License-Identifier: Apache-2.0
"""What blocks a push: the overall slice, and nothing else."""

import tensorflow_model_analysis as tfma

from pipeline.eval_config import TOP_1, make_eval_config


def _thresholds() -> dict:
    config = make_eval_config(min_accuracy=0.9, max_accuracy_drop=0.02)
    config = tfma.utils.update_eval_config_with_defaults(config, has_baseline=True)
    return tfma.metrics.metric_thresholds_from_metrics_specs(
        config.metrics_specs, eval_config=config
    )


def test_only_top_1_of_the_overall_slice_is_gated():
    thresholds = _thresholds()
    assert {key.name for key in thresholds} == {TOP_1}
    for per_slice in thresholds.values():
        for slices, _ in per_slice:
            assert [slice_spec.feature_keys for slice_spec in slices] == [[]]


def test_both_thresholds_carry_the_given_values():
    found = [threshold for per_slice in _thresholds().values() for _, threshold in per_slice]
    bounds = {t.value_threshold.lower_bound.value for t in found if t.HasField("value_threshold")}
    drops = {t.change_threshold.absolute.value for t in found if t.HasField("change_threshold")}
    assert bounds == {0.9}
    assert drops == {-0.02}
