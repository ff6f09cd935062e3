# SPDX-License-Identifier: Apache-2.0
"""The plot of data scaling, as the right half of the paper's Figure 2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from mixer_tf import storage
from mixer_tf.messages import printable
from mixer_tf.models import registry

_LINE = 80  # characters of the legend in a line
# As in the paper: Mixer solid, ViT dashed, BiT dotted.
_LINES = {"Mixer": "-", "ViT": "--", "BiT": ":"}


def draw(rows: Sequence[Mapping], path: str) -> None:
    """Writes a PNG file: for each model, the few-shot accuracy by the number of training images.

    Args:
        rows: the results of `ScalingStudy.train`; those of failed trainings are left out.
        path: path of the PNG file.
    """
    rows = [row for row in rows if "few_shot_mean" in row]
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for model in dict.fromkeys(row["model"] for row in rows):
        _draw_model(axes, model, [row for row in rows if row["model"] == model])
    shares = {row["share"]: row["images"] for row in rows}
    axes.set_xscale("log")
    axes.set_xticks(list(shares.values()), [f"{100 * s:.4g} %\n{n:,}" for s, n in shares.items()])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("training images, all with the same number of steps")
    axes.set_ylabel(f"linear {_shots(rows)}-shot top-1 [%]")
    axes.grid(alpha=0.3)
    longest = max((len(row["model"]) for row in rows), default=0)
    figure.legend(loc="outside lower center", ncols=max(1, min(4, _LINE // (longest + 6))))
    with storage.replacing(path) as partial:
        figure.savefig(partial, dpi=110, format="png")


def _draw_model(axes, model: str, rows: Sequence[Mapping]) -> None:
    rows = sorted(rows, key=lambda row: row["images"])
    noun = registry.family_of(rows[0]["recipe"]["model"]["name"]).noun
    axes.errorbar(
        [row["images"] for row in rows],
        [100 * row["few_shot_mean"] for row in rows],
        [100 * (row["few_shot_deviation"] or 0) for row in rows],
        linestyle=_LINES[noun],
        marker="o",
        capsize=2,
        label=printable(model).replace("$", r"\$"),
    )


def _shots(rows: Sequence[Mapping]) -> object:
    return rows[0]["shots"] if rows else ""
