# SPDX-License-Identifier: Apache-2.0
"""The chart of the permutation study: an example image and the accuracy for each order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

if TYPE_CHECKING:
    from mixer_tf.studies.permutation import Score


def draw(scores: Sequence[Score], examples: dict[str, np.ndarray], path: str) -> None:
    """Writes a PNG file: example images, and below them bars of accuracy or training curves.

    Args:
        scores: one score for each order.
        examples: order → the same image in that order, uint8 [H, W, 3].
        path: path of the PNG file.
    """
    figure = Figure(figsize=(max(6, 1 + 1.5 * len(scores)), 5), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, len(scores), height_ratios=[1, 2])
    for column, score in enumerate(scores):
        axes = figure.add_subplot(grid[0, column])
        axes.imshow(examples[score.order], interpolation="nearest")
        axes.set_title(score.order)
        axes.set_axis_off()
    axes = figure.add_subplot(grid[1, :])
    axes.set_ylim(0, 1)
    if any(score.curve for score in scores):
        _draw_curves(axes, scores)
    else:
        _draw_bars(axes, scores)
    figure.legend(loc="outside lower center", ncols=len(scores))
    figure.savefig(path, dpi=120)


def _draw_curves(axes, scores: Sequence[Score]) -> None:
    for score in scores:
        axes.plot(range(1, len(score.curve) + 1), score.curve, label=score.order)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("top-1 accuracy on the eval split")


def _draw_bars(axes, scores: Sequence[Score]) -> None:
    positions = np.arange(len(scores))
    axes.bar(positions - 0.2, [score.top_1 for score in scores], 0.4, label="the model")
    absorbed = [np.nan if score.absorbed is None else score.absorbed for score in scores]
    axes.bar(positions + 0.2, absorbed, 0.4, label="the model with permuted weights")
    axes.set_xticks(positions, [score.order for score in scores])
    axes.set_ylabel("top-1 accuracy")
