# SPDX-License-Identifier: Apache-2.0
"""`mixer study pareto`."""

import csv
import json

import pytest

from mixer_tf.planning import run_costs


def test_the_papers_plots_with_a_run(mixer, trained, tmp_path):
    output = tmp_path / "plots"
    arguments = ("study", "pareto", "--run", trained.output, f"--output={output}", "--json")
    result = mixer(*arguments)
    assert result.exit_code == 0, result.output
    charts = json.loads(result.output)
    assert set(charts) == {"figure_2_left", "figure_3_left", "figure_3_right"}
    run = run_costs.read(str(trained.output))
    for chart in charts.values():
        own = chart["points"][-1]
        assert own["title"] == "my pets" and own["group"] == "own"
        assert own["accuracy"] == pytest.approx(100 * run.accuracy)
        assert own["core_days"] == pytest.approx(run.core_days)
        assert "my pets" not in chart["frontier"]
    files = sorted(path.name for path in output.iterdir())
    kinds = [f"{name}.{kind}" for name in sorted(charts) for kind in ("png", "svg")]
    assert files == [*kinds, "points.csv"]
    rows = list(csv.DictReader((output / "points.csv").open()))
    assert len(rows) == sum(len(chart["points"]) for chart in charts.values())
    for name, chart in charts.items():
        best = [r["title"] for r in rows if (r["chart"], r["on_frontier"]) == (name, "yes")]
        assert sorted(best) == sorted(chart["frontier"])


def test_text(mixer, trained, tmp_path):
    result = mixer("study", "pareto", "--run", trained.output, f"--output={tmp_path}")
    assert "frontier  HaloNet (85.80 %), Mixer-L/16 (86.78 %)" in result.output
    (row,) = (line for line in result.output.splitlines() if line.startswith(str(trained.output)))
    assert len(row.split("  ")) >= 5


@pytest.mark.parametrize("times", [0, 2])
def test_folders_that_cannot_be_added(mixer, trained, tmp_path, times):
    folders = [trained.output] * times or [tmp_path]
    options = [word for folder in folders for word in ("--run", folder)]
    result = mixer("study", "pareto", *options, f"--output={tmp_path / 'new'}")
    assert result.exit_code == 1
    assert ("given once" if times else "a run must be a folder") in result.output
    assert not (tmp_path / "new").exists()
