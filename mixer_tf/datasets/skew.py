# SPDX-License-Identifier: Apache-2.0
"""How much two sets of images differ: distances of distributions, beyond what chance explains."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping

import numpy as np

from mixer_tf.datasets.statistics import HISTOGRAMS, DatasetStatistics, GroupStatistics
from mixer_tf.features import TRAIN

LABEL, FORMAT, GRAYSCALE = "label", "format", "grayscale"
# Compared as categories, by the largest difference of a share; all others as histograms.
CATEGORIES = (LABEL, FORMAT, GRAYSCALE)
# The largest difference of shares of one distribution that chance explains, in standard deviations.
_DEVIATIONS = 4.0
# Jensen-Shannon divergence of two samples of one distribution: this many times its expected value.
_NOISE_FACTOR = 3.0


@dataclasses.dataclass(frozen=True)
class Skew:
    """How much the images of two sets differ in one measure.

    Attributes:
        measure: "label", "format", "grayscale" or a name of `statistics.HISTOGRAMS`.
        first, second: the names of the sets.
        difference: the largest difference of the shares of one category or bin (L-infinity).
        category: that category, or the number of the bin.
        shares: its shares in both sets.
        divergence: Jensen-Shannon divergence in bits: 0 for equal distributions, 1 for disjoint.
        excess: by how much the difference (of categories) or the divergence (of histograms) exceeds
            what chance explains in sets of these sizes; 0 if it does not.
    """

    measure: str
    first: str
    second: str
    difference: float
    category: str
    shares: tuple[float, float]
    divergence: float
    excess: float


def jensen_shannon(first: np.ndarray, second: np.ndarray) -> float:
    """Returns the Jensen-Shannon divergence of two arrays of counts [K], in bits, from 0 to 1.

    Source: Lin, Divergence measures based on the Shannon entropy, 1991.
    """
    p, q = first / first.sum(), second / second.sum()
    return max(0.0, _entropy((p + q) / 2) - (_entropy(p) + _entropy(q)) / 2)


def expected_divergence(first: np.ndarray, second: np.ndarray) -> float:
    """Returns the divergence to expect of two samples of one distribution, in bits.

    To second order, it is a chi-squared statistic with K - 1 degrees of freedom, where K is the
    number of categories that occur.
    """
    occurring = np.count_nonzero(first + second)
    inverse_sizes = 1 / first.sum() + 1 / second.sum()
    return (occurring - 1) * inverse_sizes / (8 * math.log(2))


def compare(
    measure: str, names: tuple[str, str], first: Mapping[str, int], second: Mapping[str, int]
) -> Skew | None:
    """Returns how much two distributions differ; None if one has no images.

    Args:
        measure: what is measured.
        names: the names of both sets.
        first, second: category or bin → number of images.
    """
    categories = sorted({*first, *second})
    counts = [np.array([each.get(name, 0) for name in categories]) for each in (first, second)]
    sizes = [int(each.sum()) for each in counts]
    if not all(sizes):
        return None
    p, q = (each / size for each, size in zip(counts, sizes, strict=True))
    largest = int(np.argmax(np.abs(p - q)))
    difference = float(abs(p - q)[largest])
    divergence = jensen_shannon(*counts)
    if measure in CATEGORIES:
        excess = difference - _chance(counts, sizes, largest)
    else:
        excess = divergence - _NOISE_FACTOR * expected_divergence(*counts)
    return Skew(
        measure,
        *names,
        difference,
        categories[largest],
        (float(p[largest]), float(q[largest])),
        divergence,
        max(0.0, excess),
    )


def compare_splits(statistics: DatasetStatistics) -> Iterator[Skew]:
    """Yields the skew between training and each other split, measure by measure."""
    if TRAIN not in statistics.splits:
        return
    train = _distributions(statistics, TRAIN)
    for split in statistics.splits:
        if split != TRAIN:
            others = _distributions(statistics, split)
            for measure, first in train.items():
                found = compare(measure, (TRAIN, split), first, others[measure])
                if found:
                    yield found


def compare_classes(statistics: DatasetStatistics, split: str) -> Iterator[Skew]:
    """Yields the skew between each class of a split and its other classes, measure by measure."""
    together = of_group(statistics.of_split(split))
    for name, group in statistics.of_classes(split).items():
        for measure, counts in of_group(group).items():
            others = {key: total - counts.get(key, 0) for key, total in together[measure].items()}
            found = compare(measure, (name, "the other classes"), counts, others)
            if found:
                yield found


def of_group(group: GroupStatistics) -> dict[str, dict[str, int]]:
    """Returns measure → category or bin → number of images, without the labels."""
    gray = {"grayscale": group.gray, "color": group.images - group.gray}
    histograms = {
        name: {f"{index:02}": int(n) for index, n in enumerate(group.histogram(name)) if n}
        for name in HISTOGRAMS
    }
    return {FORMAT: dict(group.formats), GRAYSCALE: gray, **histograms}


def _distributions(statistics: DatasetStatistics, split: str) -> dict[str, dict[str, int]]:
    labels = {name: group.images for name, group in statistics.of_classes(split).items() if name}
    return {LABEL: labels, **of_group(statistics.of_split(split))}


def _chance(counts: list[np.ndarray], sizes: list[int], index: int) -> float:
    """The difference of the shares of a category that chance explains, in sets of these sizes."""
    share = sum(each[index] for each in counts) / sum(sizes)
    return _DEVIATIONS * math.sqrt(share * (1 - share) * sum(1 / size for size in sizes))


def _entropy(shares: np.ndarray) -> float:
    positive = shares[shares > 0]
    return float(-(positive * np.log2(positive)).sum())
