# SPDX-License-Identifier: Apache-2.0
"""Anomalies of a dataset: what its statistics show that a training would suffer from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mixer_tf.datasets.skew import (
    CATEGORIES,
    GRAYSCALE,
    LABEL,
    Skew,
    compare_classes,
    compare_splits,
)
from mixer_tf.datasets.statistics import DatasetStatistics, GroupStatistics
from mixer_tf.datasets.statistics_limits import StatisticsLimits
from mixer_tf.features import TRAIN
from mixer_tf.messages import visible

# A class of fewer images is not compared with the others.
_MIN_CLASS_IMAGES = 20
_NAMES = {
    LABEL: "labels",
    "format": "file formats",
    GRAYSCALE: "the share of grayscale images",
    "shorter_side": "image sizes",
    "aspect_ratio": "aspect ratios",
}


def find_anomalies(
    statistics: DatasetStatistics, limits: StatisticsLimits | None = None
) -> list[str]:
    """Returns one line for each statistic above its limit; an empty list if all is well."""
    limits = limits or StatisticsLimits()
    found = [
        *_shares(statistics, limits),
        *(_describe_splits(each, limits) for each in skewed(statistics, limits)),
        *_class_anomalies(statistics, limits),
    ]
    return [*map(visible, found)]


def skewed(statistics: DatasetStatistics, limits: StatisticsLimits) -> list[Skew]:
    """Returns the measures in which a split differs from training by more than the limit."""
    return [each for each in compare_splits(statistics) if each.excess > limits.skew]


def _shares(statistics: DatasetStatistics, limits: StatisticsLimits) -> Iterator[str]:
    for split in statistics.splits:
        group = statistics.of_split(split)
        total = group.images + group.unreadable
        if total and group.unreadable / total > limits.unreadable:
            yield (
                f"{group.unreadable:,} of {total:,} {split} images cannot be decoded "
                f"({group.unreadable / total:.1%}, limit {limits.unreadable:.1%}), such as "
                f"{group.examples['unreadable'][0]}"
            )
        if group.images and group.flat / group.images > limits.near_constant:
            yield (
                f"{group.flat:,} of {group.images:,} {split} images are nearly of one color "
                f"({group.flat / group.images:.1%}, limit {limits.near_constant:.1%}), such as "
                f"{group.examples['flat'][0]}"
            )


def _class_anomalies(statistics: DatasetStatistics, limits: StatisticsLimits) -> Iterator[str]:
    if TRAIN not in statistics.splits:
        return
    groups = statistics.of_classes(TRAIN)
    for skew in compare_classes(statistics, TRAIN):
        is_large = groups[skew.first].images >= _MIN_CLASS_IMAGES
        if skew.first and is_large and skew.excess > limits.class_skew:
            yield (
                f"class {skew.first!r} can be recognized by its {_name(skew)} alone: "
                f"{_difference(skew, limits.class_skew)}"
            )


def _describe_splits(skew: Skew, limits: StatisticsLimits) -> str:
    return (
        f"{skew.first} and {skew.second} differ in {_name(skew)}: {_difference(skew, limits.skew)}"
    )


def _difference(skew: Skew, limit: float) -> str:
    if skew.measure not in CATEGORIES:
        return (
            f"Jensen-Shannon divergence {skew.divergence:.2f}, of which {skew.excess:.2f} beyond "
            f"chance, limit {limit:g}"
        )
    first, second = skew.shares
    category = "grayscale" if skew.measure == GRAYSCALE else repr(skew.category)
    if skew.measure == GRAYSCALE and skew.category != "grayscale":
        first, second = 1 - first, 1 - second
    return (
        f"{first:.1%} of {skew.first} and {second:.1%} of {skew.second} are {category}, a "
        f"difference of {skew.excess:.2f} beyond chance, limit {limit:g}"
    )


def _name(skew: Skew) -> str:
    return _NAMES.get(skew.measure, skew.measure)


def summarize_anomalies(anomalies: Sequence[str], page: str, most: int = 5) -> list[str]:
    """Returns the first lines, and where the others are, for the notes of a run."""
    more = len(anomalies) - most
    rest = [f"and {more:,} more anomalies of the images; look at {page}"] if more > 0 else []
    return [*anomalies[:most], *rest]


def describe_group(group: GroupStatistics) -> dict[str, str]:
    """Returns title → text of the main statistics of a group, for tables."""
    if not group.images:
        return {}
    formats = ", ".join(
        name if number == group.images else f"{name} {number / group.images:.1%}"
        for name, number in sorted(group.formats.items(), key=lambda item: (-item[1], item[0]))
    )
    return {
        "sizes": _sizes(group),
        "formats": formats,
        "brightness": f"{group.mean('brightness'):.1f} ± {group.std('brightness'):.1f}",
        "contrast": f"{group.mean('contrast'):.1f} ± {group.std('contrast'):.1f}",
        "grayscale": f"{group.gray / group.images:.1%}",
        "near-constant": f"{group.flat / group.images:.1%}",
    }


def _sizes(group: GroupStatistics) -> str:
    (width, height), (most_width, most_height) = group.smallest, group.largest
    if group.smallest == group.largest:
        return f"{width}×{height}"
    return f"{width} to {most_width} × {height} to {most_height}"
