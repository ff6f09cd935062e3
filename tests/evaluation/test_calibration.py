# SPDX-License-Identifier: Apache-2.0
"""The expected calibration error against the loop of the paper's own code, and known values."""

import numpy as np
import pytest

from mixer_tf.evaluation.calibration import NUM_BINS, Calibration


def fill(probabilities, correct, num_bins: int = NUM_BINS) -> Calibration:
    calibration = Calibration(num_bins)
    for probability, is_correct in zip(probabilities, correct, strict=True):
        calibration.add(float(probability), bool(is_correct))
    return calibration


def reference_error(probabilities: np.ndarray, correct: np.ndarray) -> float:
    """As `_ECELoss` of github.com/gpleiss/temperature_scaling, whose author is the paper's."""
    edges = np.linspace(0, 1, 16)
    error = 0.0
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        inside = (probabilities > low) & (probabilities <= high)
        if inside.any():
            gap = abs(probabilities[inside].mean() - correct[inside].mean())
            error += gap * inside.mean()
    return error


@pytest.mark.parametrize("power", [0.5, 1, 3])
def test_the_error_equals_the_reference(power):
    random = np.random.default_rng(1)
    probabilities = random.random(5000)
    correct = random.random(5000) < probabilities**power
    found = fill(probabilities, correct)
    assert found.error == pytest.approx(reference_error(probabilities, correct), abs=1e-12)
    assert found.accuracy == pytest.approx(correct.mean())
    assert found.mean_confidence == pytest.approx(probabilities.mean())


def test_an_overconfident_model_has_the_difference_as_its_error():
    assert fill([0.9] * 10, [True] * 6 + [False] * 4).error == pytest.approx(0.3)
    assert fill([1.0] * 10, [True] * 10).error == 0
    assert fill([0.0, 1.0], [False, True]).error == 0  # both bounds are inside


def test_errors_of_opposite_sign_in_one_bin_cancel_but_not_in_two():
    assert fill([0.5, 0.5], [True, False], 10).error == 0
    assert fill([0.25, 0.75], [True, False], 2).error == pytest.approx(0.75)


def test_bins_hold_the_means_of_their_answers():
    bins = list(fill([0.61, 0.65, 0.2, 1.0], [True, False, True, True], 5).bins())
    assert [each.images for each in bins] == [0, 1, 0, 2, 1]
    assert (bins[0].confidence, bins[0].accuracy) == (None, None)
    assert (bins[3].confidence, bins[3].accuracy) == (pytest.approx(0.63), 0.5)
    assert (bins[3].left, bins[3].right) == pytest.approx((0.6, 0.8))
    assert (bins[4].confidence, bins[4].accuracy) == (1, 1)


def test_counts_add_up_as_single_answers():
    one, several = Calibration(), Calibration()
    for _ in range(7):
        one.add(0.4, True)
    several.add(0.4, True, count=7)
    assert one.error == pytest.approx(several.error) and list(one.images) == list(several.images)
