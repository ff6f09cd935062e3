# SPDX-License-Identifier: Apache-2.0
"""A plot of throughput against the size of the batch, one line for each model."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mixer_tf import storage
from mixer_tf.benchmarks.throughput import Result


def draw(results: Sequence[Result], path: str, title: str) -> None:
    """Writes a PNG file.

    Args:
        results: results of `throughput.measure`; those without a rate are left out.
        path: path of the file.
        title: what was measured, and where.
    """
    modes = list(dict.fromkeys(result.setting.mode for result in results))
    figure = Figure(figsize=(6 * len(modes) + 2, 5), layout="constrained")
    FigureCanvasAgg(figure)
    for index, mode in enumerate(modes, start=1):
        axes = figure.add_subplot(1, len(modes), index)
        _draw(axes, [result for result in results if result.setting.mode == mode])
        axes.set_title(mode)
    figure.suptitle(title)
    with storage.replacing(path) as partial:
        figure.savefig(partial, format="png", dpi=120)


def _draw(axes, results: Sequence[Result]) -> None:
    for model in dict.fromkeys(result.setting.model for result in results):
        measured = [r for r in results if r.setting.model == model and r.images_per_second]
        if measured:
            sizes = [result.setting.batch_size for result in measured]
            axes.plot(sizes, [r.images_per_second for r in measured], "o-", label=model)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xlabel("images per batch")
    axes.set_ylabel("images/s")
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend()
