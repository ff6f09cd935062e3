# SPDX-License-Identifier: Apache-2.0
"""The frontier, by definition and as the paper describes it; the plots."""

import itertools
import random
import xml.etree.ElementTree

import pytest
from PIL import Image

from mixer_tf.studies import pareto, pareto_plot
from mixer_tf.studies.pareto import COST, OWN, THROUGHPUT, Point

CHARTS = {chart.name: chart for chart in pareto.charts()}


def beats(one: Point, other: Point, axis: str) -> bool:
    """The definition: at least as good in both, and better in one."""
    sign = -1 if axis == COST else 1
    gains = (sign * (one.value(axis) - other.value(axis)), one.accuracy - other.accuracy)
    return min(gains) >= 0 and max(gains) > 0


@pytest.mark.parametrize("axis", [COST, THROUGHPUT])
@pytest.mark.parametrize("seed", range(5))
def test_no_point_beats_one_of_the_frontier_and_one_beats_every_other(axis, seed):
    draw = random.Random(seed)
    points = [
        Point(f"{i}", "cnn", draw.randint(0, 9), draw.randint(1, 9), draw.randint(1, 9))
        for i in range(30)
    ]
    found = pareto.frontier(points, axis)
    values = {(p.value(axis), p.accuracy) for p in found}
    for point in points:
        is_beaten = any(beats(other, point, axis) for other in points)
        assert is_beaten != ((point.value(axis), point.accuracy) in values)
    assert [p.accuracy for p in found] == sorted({p.accuracy for p in found})


def test_points_without_a_value_are_left_out():
    points = [Point("a", "cnn", 90, 5, None), Point("b", "cnn", 80, 6, 10)]
    assert [p.title for p in pareto.frontier(points, THROUGHPUT)] == ["b"]
    assert pareto.frontier([], COST) == []


def test_the_frontier_that_the_caption_of_figure_2_names():
    """Mixer "sits on frontier with HaloNet, ViT, NFNet, and MPL"."""
    chart = CHARTS["figure_2_left"]
    titles = [point.title for point in pareto.frontier(chart.points, COST)]
    assert titles == ["HaloNet", "Mixer-L/16", "ViT-L/16", "Mixer-H/14", "NFNet-F4+", "MPL"]
    assert len(chart.points) == 13  # ten of Table 2 and three that the caption adds


def test_mixer_is_on_the_frontier_of_figure_3_at_its_high_end():
    """The text: "slightly below the frontier on the lower end", "confidently on" it above."""
    chart = CHARTS["figure_3_left"]
    assert {point.image_size for point in chart.points} == {224}
    assert "Mixer-H/14" in [point.title for point in pareto.frontier(chart.points, COST)]
    fast = pareto.frontier(CHARTS["figure_3_right"].points, THROUGHPUT)
    assert (fast[0].title, fast[-1].title) == ("ViT-H/14", "Mixer-S/32")[::-1]


def test_the_best_within_a_budget():
    points = CHARTS["figure_2_left"].points
    assert pareto.best_at(points, COST, 1010).title == "Mixer-H/14"
    assert pareto.best_at(points, COST, 99) is None
    assert pareto.best_at(points, THROUGHPUT, 105).title == "Mixer-L/16"
    for cost, chart in itertools.product((100, 500, 2000), CHARTS.values()):
        best = pareto.best_at(chart.points, COST, cost)
        within = [p.accuracy for p in chart.points if p.core_days <= cost]
        assert (best.accuracy if best else None) == (max(within) if within else None)


def test_plots_show_every_model_and_the_users_runs(tmp_path):
    own = Point("my $run$ <b> -->", OWN, 98.4, 0.003, 7e6)
    for chart in CHARTS.values():
        png, svg = pareto_plot.draw(chart, [own], str(tmp_path))
        assert min(Image.open(png).size) > 500
        xml.etree.ElementTree.parse(svg)
        comments = (tmp_path / f"{chart.name}.svg").read_text()
        for point in chart.points:
            assert chart.axis == COST or f"<!-- {point.title} -->" in comments
    assert not list(tmp_path.glob("partial-*"))
