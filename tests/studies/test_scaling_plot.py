# SPDX-License-Identifier: Apache-2.0
"""The plot of data scaling: a line for each model, without the trainings that failed."""

import pytest
from matplotlib.figure import Figure
from PIL import Image

from mixer_tf import recipes
from mixer_tf.models import registry
from mixer_tf.studies import scaling_plot


def make_row(model: str, recipe: str, share: float, top_1: float, deviation=0.01) -> dict:
    few_shot = {"shots": 5, "few_shot_mean": top_1, "few_shot_deviation": deviation}
    values = {"model": model, "share": share, "images": round(1000 * share), **few_shot}
    return {**values, "recipe": recipes.get(recipe).to_dict()}


def test_a_line_for_each_model_in_the_style_of_its_family(tmp_path, monkeypatch):
    saved = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *a, **k: (saved.append(self), save(self, *a, **k))
    )
    rows = [
        make_row("a $x$", "cifar10_mixer4", 0.3, 0.5),
        make_row("b", "cifar10_bit", 1.0, 0.4),
        make_row("a $x$", "cifar10_mixer4", 0.1, 0.2),
        make_row("c", "cifar10_vit8", 1.0, 0.3, None),
        {"model": "b", "share": 0.1, "problem": "the loss must stay finite"},
    ]
    scaling_plot.draw(rows, str(tmp_path / "scaling.png"))
    assert Image.open(tmp_path / "scaling.png").format == "PNG"
    assert [path.name for path in tmp_path.iterdir()] == ["scaling.png"]
    (axes,) = saved[0].axes
    lines = [container.lines[0] for container in axes.containers]
    assert [line.get_linestyle() for line in lines] == ["-", ":", "--"]
    assert lines[0].get_xydata().tolist() == [[100, 20], [300, 50]]
    assert axes.get_ylabel() == "linear 5-shot top-1 [%]"
    ticks = [label.get_text() for label in axes.get_xticklabels()]
    assert sorted(ticks) == ["10 %\n100", "100 %\n1,000", "30 %\n300"]


@pytest.mark.parametrize("family", registry.FAMILIES.values(), ids=lambda family: family.noun)
def test_every_family_has_a_style(family):
    assert family.noun in scaling_plot._LINES
