# SPDX-License-Identifier: Apache-2.0
"""Paired tests against enumeration, simulation and published values."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from mixer_tf.evaluation.comparison import bootstrap_interval, compare, holm, mcnemar

SHARES = {"a": 0.5, "b": 0.6, "c": 0.9}


@pytest.mark.parametrize(("first", "second"), [(0, 0), (0, 5), (3, 9), (8, 8), (1, 12)])
def test_p_value_is_the_share_of_coin_tosses_at_least_as_uneven(first, second):
    """Of all 2ⁿ ways in which fair coins decide who is right, by enumeration of the counts."""
    number = first + second
    ways = sum(
        math.comb(number, heads)
        for heads in range(number + 1)
        if abs(2 * heads - number) >= abs(first - second)
    )
    assert mcnemar(first, second) == pytest.approx(ways / 2**number)


def test_counts_of_a_comparison_are_those_of_the_images():
    first = np.array([1, 1, 1, 0, 0, 0, 0, 1], bool)
    second = np.array([1, 0, 1, 1, 1, 1, 0, 1], bool)
    (found,) = compare(
        {"a": first, "b": second},
        {"a": np.array(list("xxxyyyyx")), "b": np.array(list("xzxxxxzx"))},
    )
    assert (found.both_right, found.both_wrong) == (3, 1)
    assert (found.only_first, found.only_second) == (1, 3)
    assert found.difference == pytest.approx(second.mean() - first.mean())
    assert found.different_predictions == 5
    assert found.p_value == found.adjusted_p_value == pytest.approx(0.625)
    assert not found.is_significant


def test_interval_equals_a_bootstrap_that_draws_each_image():
    random = np.random.default_rng(3)
    first, second = random.random(300) < 0.7, random.random(300) < 0.8
    counts = int((first & ~second).sum()), int((second & ~first).sum())
    found = bootstrap_interval(*counts, 300)
    expected = stats.bootstrap(
        (second.astype(float), first.astype(float)),
        lambda x, y, axis: x.mean(axis) - y.mean(axis),
        paired=True,
        method="percentile",
        n_resamples=4000,
        random_state=5,
    ).confidence_interval
    assert found == pytest.approx((expected.low, expected.high), abs=0.01)


def test_several_pairs_are_corrected_by_holms_rule():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0] and holm([0.2]) == [0.2]
    random = np.random.default_rng(4)
    right = {name: random.random(200) < share for name, share in SHARES.items()}
    found = compare(right, right)
    assert [(each.first, each.second) for each in found] == list(itertools.combinations("abc", 2))
    assert [each.adjusted_p_value for each in found] == holm([each.p_value for each in found])
    assert [each.is_significant for each in found][1:] == [True, True]


def test_equal_models_do_not_differ():
    right = np.array([True, False, True])
    (found,) = compare({"a": right, "b": right}, {"a": right, "b": right})
    assert (found.p_value, found.low, found.high, found.different_predictions) == (1.0, 0.0, 0.0, 0)
