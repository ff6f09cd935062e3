# SPDX-License-Identifier: Apache-2.0
"""The chart of the permutation study: an example image in each order, and a panel for each model.

It is laid out as the paper's figure: the curves of each model in the different orders.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mixer_tf import storage
from mixer_tf.messages import printable

if TYPE_CHECKING:
    from mixer_tf.studies.permutation import Score

_MAX_COLUMNS = 4
_HEIGHT = 3.2  # inches of a row of panels
_IMAGES_HEIGHT = 1.7


def draw(
    scores: Mapping[str, Sequence[Score]], examples: Mapping[str, np.ndarray], path: str
) -> None:
    """Writes a PNG file: example images, and below them curves or bars of accuracy.

    Args:
        scores: name of each model → one score for each order.
        examples: order → the same image in that order, uint8 [H, W, 3]; {} for a chart without it.
        path: path of the PNG file.
    """
    orders = list(dict.fromkeys(score.order for found in scores.values() for score in found))
    above = _IMAGES_HEIGHT if examples else 0
    columns = min(len(scores), _MAX_COLUMNS)
    rows = math.ceil(len(scores) / columns)
    figure = Figure(
        figsize=(max(6, 1.3 * len(orders), 3.4 * columns), above + _HEIGHT * rows),
        layout="constrained",
    )
    FigureCanvasAgg(figure)
    below = figure
    if examples:
        top, below = figure.subfigures(2, 1, height_ratios=[above, _HEIGHT * rows])
        _draw_examples(top, orders, examples)
    panels = below.subplots(rows, columns, sharey=True, squeeze=False)
    for axes in panels.flat[len(scores) :]:
        axes.set_axis_off()
    for (name, found), axes in zip(scores.items(), panels.flat, strict=False):
        axes.set_title(printable(name).replace("$", r"\$"), fontsize="medium")
        axes.grid(alpha=0.3)
        _draw_panel(axes, found, orders)
    panels.flat[0].set_ylim(0, _top(scores))  # of all panels: they share it
    below.legend(*panels.flat[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    with storage.replacing(path) as partial:
        figure.savefig(partial, dpi=100, format="png")


def _top(scores: Mapping[str, Sequence[Score]]) -> float:
    """The upper end of the axis of accuracy."""
    values = [
        value
        for found in scores.values()
        for score in found
        for value in (score.curve or (score.top_1, score.absorbed or 0))
    ]
    return min(1.05 * max(values, default=0) or 1, 1)


def _draw_examples(figure, orders: Sequence[str], examples: Mapping[str, np.ndarray]) -> None:
    for axes, order in zip(
        figure.subplots(1, len(orders), squeeze=False).flat, orders, strict=True
    ):
        axes.imshow(examples[order], interpolation="nearest")
        axes.set_title(order, fontsize="medium")
        axes.set_axis_off()


def _draw_panel(axes, scores: Sequence[Score], orders: Sequence[str]) -> None:
    if any(score.curve for score in scores):
        _draw_curves(axes, scores, orders)
    else:
        _draw_bars(axes, scores)
    if axes.get_subplotspec().is_first_col():
        where = "on the eval split" if any(score.curve for score in scores) else ""
        axes.set_ylabel(f"top-1 accuracy {where}".rstrip())


def _draw_curves(axes, scores: Sequence[Score], orders: Sequence[str]) -> None:
    for score in scores:
        color = f"C{orders.index(score.order)}"
        axes.plot(score.steps, score.curve, marker=".", color=color, label=score.order)
    axes.set_xlabel("training step")


def _draw_bars(axes, scores: Sequence[Score]) -> None:
    positions = np.arange(len(scores))
    axes.bar(positions - 0.2, [score.top_1 for score in scores], 0.4, label="the model")
    absorbed = [np.nan if score.absorbed is None else score.absorbed for score in scores]
    axes.bar(positions + 0.2, absorbed, 0.4, label="the model with permuted weights")
    axes.set_xticks(positions, [score.order for score in scores])
