# SPDX-License-Identifier: Apache-2.0
"""Plots of accuracy against cost or throughput, with the frontier, as PNG and SVG."""

from __future__ import annotations

import os
from collections.abc import Sequence

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mixer_tf import storage
from mixer_tf.messages import visible
from mixer_tf.studies import pareto
from mixer_tf.studies.pareto import Chart, Point

# The colors of the paper: pink for MLPs, blue for attention, yellow for convolutions.
_STYLES = {
    "mixer": ("#e377c2", "o", "MLP-Mixer"),
    "vit": ("#1f77b4", "s", "attention"),
    "cnn": ("#e0a800", "^", "convolutions"),
    pareto.OWN: ("#2ca02c", "*", "own runs"),
}
_AXES = {
    pareto.COST: "training cost in core-days (TPU v3; own runs: cores of their machine)",
    pareto.THROUGHPUT: "inference throughput in images/s and core (TPU v3)",
}
_FORMATS = ("png", "svg")


def draw(chart: Chart, own: Sequence[Point], folder: str) -> list[str]:
    """Writes `<name>.png` and `<name>.svg`, and returns their paths.

    Args:
        chart: the paper's points.
        own: the user's runs; they are no part of the paper's frontier.
        folder: an existing folder.
    """
    figure = Figure(figsize=(9, 6), layout="constrained")
    FigureCanvasAgg(figure)
    _draw(figure.add_subplot(), chart, own)
    paths = [os.path.join(folder, f"{chart.name}.{kind}") for kind in _FORMATS]
    for path, kind in zip(paths, _FORMATS, strict=True):
        with storage.replacing(path) as partial:
            metadata = {"Date": None} if kind == "svg" else None
            figure.savefig(partial, format=kind, dpi=120, metadata=metadata)
    return paths


def _draw(axes, chart: Chart, own: Sequence[Point]) -> None:
    points = [p for p in (*chart.points, *own) if p.value(chart.axis) is not None]
    for group, (color, marker, label) in _STYLES.items():
        members = [point for point in points if point.group == group]
        if members:
            values = [point.value(chart.axis) for point in members]
            accuracies = [point.accuracy for point in members]
            axes.scatter(values, accuracies, 60, color=color, marker=marker, label=label, zorder=3)
    for point in points:
        _write_name(axes, point, chart.axis)
    frontier = pareto.frontier(chart.points, chart.axis)
    values = [point.value(chart.axis) for point in frontier]
    axes.plot(values, [p.accuracy for p in frontier], "--", color="gray", label="frontier")
    axes.set_xscale("log")
    axes.set_xlabel(_AXES[chart.axis])
    axes.set_ylabel("top-1 in percent: ImageNet; own runs: their evaluation split")
    axes.set_title(chart.title)
    axes.grid(alpha=0.3)
    axes.margins(0.12)
    axes.legend(loc="best")


def _write_name(axes, point: Point, axis: str) -> None:
    """The name of a model beside its point; a name from outside is text, not a formula."""
    name = visible(point.title).replace("$", r"\$")
    axes.annotate(
        name,
        (point.value(axis), point.accuracy),
        xytext=(6, 5),
        textcoords="offset points",
        fontsize=8,
    )
