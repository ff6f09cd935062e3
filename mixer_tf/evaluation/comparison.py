# SPDX-License-Identifier: Apache-2.0
"""Whether two models differ by more than chance on the same images: exact McNemar test, bootstrap.

Only the images count on which exactly one of the two is right: if the models were equally good,
each of these would be a fair coin. (McNemar 1947; exact instead of its chi-squared approximation.)
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

import numpy as np

SIGNIFICANT = 0.05
NUM_RESAMPLES = 10_000
_SEED = 0


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Two models, image by image.

    Attributes:
        first, second: titles of the models.
        images: number of images.
        both_right, both_wrong: number of images on which the models agree in that sense.
        only_first, only_second: number of images on which one of them alone is right.
        difference: top-1 accuracy of the second minus that of the first.
        low, high: the 95 % interval of the difference, by the paired bootstrap.
        p_value: p-value of the exact McNemar test, two-sided.
        adjusted_p_value: the same after Holm's correction for the number of pairs compared.
        different_predictions: number of images for which the predictions differ, right or wrong.
    """

    first: str
    second: str
    images: int
    both_right: int
    both_wrong: int
    only_first: int
    only_second: int
    difference: float
    low: float
    high: float
    p_value: float
    adjusted_p_value: float
    different_predictions: int

    @property
    def is_significant(self) -> bool:
        return self.adjusted_p_value < SIGNIFICANT


def mcnemar(only_first: int, only_second: int) -> float:
    """Returns the two-sided p-value of the exact McNemar test; 1 if the models never differ."""
    from scipy import stats

    if not only_first + only_second:
        return 1.0
    return float(stats.binomtest(only_first, only_first + only_second, 0.5).pvalue)


def bootstrap_interval(
    only_first: int, only_second: int, images: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Returns the percentile interval of the difference of accuracies over resampled images.

    The difference depends only on how many images of each kind a resample holds, which is a
    multinomial variable; so this is the paired bootstrap over images, without drawing each image.

    Args:
        only_first, only_second: number of images on which one model alone is right.
        images: number of images.
        confidence: the share of resamples inside the interval.
    """
    shares = [only_first / images, only_second / images]
    generator = np.random.default_rng(_SEED)
    drawn = generator.multinomial(images, [*shares, 1 - sum(shares)], NUM_RESAMPLES)
    differences = (drawn[:, 1] - drawn[:, 0]) / images
    tail = (1 - confidence) / 2
    low, high = np.quantile(differences, [tail, 1 - tail])
    return float(low), float(high)


def holm(p_values: Sequence[float]) -> list[float]:
    """Returns the p-values after Holm's correction for several tests (1979), in their order."""
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(np.argsort(p_values, kind="stable").tolist()):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def compare(
    correct: Mapping[str, np.ndarray], predicted: Mapping[str, np.ndarray]
) -> list[Comparison]:
    """Compares each pair of models.

    Args:
        correct: title of a model → whether it is right, for each image, bool [N].
        predicted: title of a model → its prediction for each image, [N], equal for equal classes.
    """
    pairs = list(itertools.combinations(correct, 2))
    found = [_compare(first, second, correct, predicted) for first, second in pairs]
    adjusted = holm([each.p_value for each in found])
    return [
        dataclasses.replace(each, adjusted_p_value=value)
        for each, value in zip(found, adjusted, strict=True)
    ]


def _compare(first: str, second: str, correct, predicted) -> Comparison:
    one, two = np.asarray(correct[first], bool), np.asarray(correct[second], bool)
    only_first, only_second = int((one & ~two).sum()), int((two & ~one).sum())
    p_value = mcnemar(only_first, only_second)
    low, high = bootstrap_interval(only_first, only_second, len(one))
    return Comparison(
        first=first,
        second=second,
        images=len(one),
        both_right=int((one & two).sum()),
        both_wrong=int((~one & ~two).sum()),
        only_first=only_first,
        only_second=only_second,
        difference=(only_second - only_first) / len(one),
        low=low,
        high=high,
        p_value=p_value,
        adjusted_p_value=p_value,
        different_predictions=int(
            (np.asarray(predicted[first]) != np.asarray(predicted[second])).sum()
        ),
    )
