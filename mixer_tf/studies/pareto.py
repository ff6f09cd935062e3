# SPDX-License-Identifier: Apache-2.0
"""The trade-off of accuracy against cost and throughput: the paper's Figures 2 and 3 as data.

Figure 1 is a drawing of the architecture, and the right half of Figure 2 is about the size of the
training set.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from mixer_tf.studies.paper_results import JFT, RESULTS, PaperResult

COST, THROUGHPUT = "cost", "throughput"
OWN = "own"
_SCALE_SIZE = 224  # pixels of Figure 3


@dataclasses.dataclass(frozen=True)
class Point:
    """One trained model.

    Attributes:
        title: as the plot shows it.
        group: "mixer", "vit" (all models with attention), "cnn", or "own" for a user's run.
        accuracy: top-1 in percent.
        core_days: cost of the training in core-days of TPU v3; None if unknown.
        images_per_second: throughput per core of TPU v3 at inference; None if unknown.
        pretraining: dataset that it was trained on.
        image_size: in pixels; None if unknown.
    """

    title: str
    group: str
    accuracy: float
    core_days: float | None
    images_per_second: float | None
    pretraining: str = ""
    image_size: int | None = None

    def value(self, axis: str) -> float | None:
        """Returns the cost or the throughput."""
        return self.core_days if axis == COST else self.images_per_second


@dataclasses.dataclass(frozen=True)
class Chart:
    """A figure of the paper.

    Attributes:
        name: name of its files.
        title: what it shows.
        axis: `COST`, where less is better, or `THROUGHPUT`, where more is.
        points: the paper's points.
    """

    name: str
    title: str
    axis: str
    points: tuple[Point, ...]


def charts() -> tuple[Chart, ...]:
    """Returns Figure 2 left, Figure 3 left and Figure 3 right."""
    best, scale = tuple(filter(_is_in_figure_2, RESULTS)), tuple(filter(_is_in_figure_3, RESULTS))
    figures = (
        ("figure_2_left", "ImageNet accuracy and training cost", COST, best),
        ("figure_3_left", "The role of the model scale: training cost", COST, scale),
        ("figure_3_right", "The role of the model scale: throughput", THROUGHPUT, scale),
    )
    return tuple(
        Chart(name, title, axis, tuple(map(to_point, results)))
        for name, title, axis, results in figures
    )


def _is_in_figure_2(result: PaperResult) -> bool:
    """All of Table 2, and what its caption adds: ViT-L/16, Mixer-L/16 and BiT-R200x3 on JFT."""
    added = (("vit_l16", 512), ("mixer_l16", 448), ("bit_r200x3", 224))
    is_added = (result.model, result.image_size) in added and result.pretraining == JFT
    return result.table == 2 or is_added


def _is_in_figure_3(result: PaperResult) -> bool:
    return result.table == 3 and result.pretraining == JFT and result.image_size == _SCALE_SIZE


def to_point(result: PaperResult) -> Point:
    """Returns a row of the paper's tables as a point."""
    family = result.model.partition("_")[0]
    groups = {"mixer": "mixer", "vit": "vit", "HaloNet": "vit"}  # the colors of the paper
    return Point(
        title=result.title,
        group=groups.get(family, "cnn"),
        accuracy=result.imagenet,
        core_days=result.core_days,
        images_per_second=result.images_per_second,
        pretraining=result.pretraining,
        image_size=result.image_size,
    )


def frontier(points: Sequence[Point], axis: str) -> list[Point]:
    """Returns the points that no other point beats, from low to high accuracy.

    A point beats another if it is at least as good in both, and better in one: cheaper or faster,
    or more accurate. Points without a value on the axis are left out.

    Args:
        points: any points.
        axis: `COST` or `THROUGHPUT`.
    """
    found = []
    best = float("-inf")
    for point in sorted(_with(points, axis), key=_order(axis)):
        if point.accuracy > best:
            found.append(point)
            best = point.accuracy
    return found


def _with(points: Sequence[Point], axis: str) -> list[Point]:
    return [point for point in points if point.value(axis) is not None]


def _order(axis: str) -> Callable[[Point], tuple[float, float]]:
    """The cheapest or fastest first, and of equal ones the most accurate."""
    sign = 1 if axis == COST else -1
    return lambda point: (sign * point.value(axis), -point.accuracy)


def best_at(points: Sequence[Point], axis: str, value: float) -> Point | None:
    """Returns the most accurate point that costs at most, or is at least as fast as, a value.

    Args:
        points: any points.
        axis: `COST` or `THROUGHPUT`.
        value: core-days, or images per second.

    Returns:
        None if there is no such point.
    """
    sign = 1 if axis == COST else -1
    within = [p for p in _with(points, axis) if sign * p.value(axis) <= sign * value]
    return max(within, key=lambda point: point.accuracy, default=None)
