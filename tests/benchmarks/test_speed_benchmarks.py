# SPDX-License-Identifier: Apache-2.0
"""The benchmarks of speed: ratios, tables, the page, and one tiny run of each command."""

import dataclasses
import json
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks import __main__ as bench
from benchmarks import compute, evaluation, page, results, scaling, startup, training_input
from benchmarks.results import Column, Table
from benchmarks.startup import Duration
from mixer_tf.benchmarks import machine, timing
from mixer_tf.benchmarks.throughput import FORWARD, SERVING, TRAINING, Result, Setting
from mixer_tf.models import registry

ROOT = pathlib.Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "speed.md").read_text(encoding="utf-8")
TABLE = Table(
    (Column("name"), Column("share", ".0%"), Column("images/s", ",.1f")),
    (("a|b", 0.256, 1234.56), ("é", None, 2)),
    ("one.", "two."),
)


def test_a_table_as_text_markdown_and_json():
    assert TABLE.to_text().splitlines() == [
        "name  share  images/s",
        "a|b     26%   1,234.6",
        "é         –       2.0",
        "note: one.",
        "note: two.",
    ]
    assert TABLE.to_markdown().splitlines() == [
        "| name | share | images/s |",
        "| --- | ---: | ---: |",
        "| a\\|b | 26% | 1,234.6 |",
        "| é | – | 2.0 |",
        "",
        "one. two.",
    ]
    rows = json.loads(json.dumps(TABLE.to_dict()))["rows"]
    assert rows[1] == {"name": "é", "share": None, "images/s": 2}


def test_a_ratio_to_what_was_not_measured():
    assert results.ratio(3, 4) == 0.75
    assert results.ratio(None, 4) is results.ratio(3, None) is results.ratio(3, 0) is None


TEXT = "# a\n<!-- begin benchmarks.compute -->\nold\n<!-- end benchmarks.compute -->\nb\n"


def test_only_what_is_between_the_markers_is_replaced(tmp_path):
    path = tmp_path / "speed.md"
    other = TEXT.replace("compute", "scaling").replace("old", "stays \\1")
    path.write_text(TEXT + other)
    for _ in range(2):
        page.update(str(path), "compute", [TABLE], "2026-01-02, a machine")
        before, after = (TEXT + other).split("old", 1)
        found = path.read_text()
        assert found.startswith(before) and found.endswith(after)
        middle = found.removeprefix(before).removesuffix(after)
        assert middle == (
            "`python -m benchmarks.compute`, 2026-01-02, a machine:\n\n" + TABLE.to_markdown()
        )
    assert [each.name for each in tmp_path.iterdir()] == ["speed.md"]


@pytest.mark.parametrize(
    "text",
    ["", TEXT + TEXT, TEXT.replace("begin", "end"), TEXT.replace("<!-- end", "<!-- stop")],
)
def test_a_page_without_its_markers_is_an_error(text):
    with pytest.raises(ValueError, match="must have the lines <!-- begin benchmarks.compute -->"):
        page.replace(text, "compute", "new")


def test_the_page_of_this_project_has_every_marker():
    for name in bench.NAMES:
        assert "new" in page.replace(PAGE, name, "new")
    found = re.findall(r"<!-- begin benchmarks\.(\w+) -->", PAGE)
    assert found == list(bench.NAMES)


def make(mode: str, size: int, rate: float | None, memory: int | None, problem="") -> Result:
    setting = Setting("mixer_s32", mode, size)
    return Result(setting, rate, problem, 1e11 if rate else None, 2.5 if rate else None, memory)


def test_shares_of_the_matrix_rate_and_of_flax():
    found = [
        ("ours", make(TRAINING, 16, 12.0, 600_000_000)),
        ("Flax", make(TRAINING, 16, 10.0, 500_000_000)),
        ("Flax", make(FORWARD, 16, 40.0, 300_000_000)),
        ("ours", make(FORWARD, 32, 50.0, 150_000_000)),
        ("ours", make(SERVING, 16, 30.0, 150_000_000)),
        ("ours, XLA", make(FORWARD, 16, None, None, "no memory")),
    ]
    table = compute.make_table(found)
    cells = [dict(zip([c.title for c in table.columns], row, strict=True)) for row in table.rows]
    multiply_adds = registry.describe("mixer_s32").multiply_adds
    assert cells[0]["of the matrix rate"] == pytest.approx(12 * 6 * multiply_adds / 1e11)
    assert [each["of Flax"] for each in cells] == [1.2, 1, 1, None, 0.75, None]
    assert [each["of Flax's memory"] for each in cells] == [1.2, 1, 1, None, 0.5, None]
    assert "100 to 100 GFLOP/s" in table.notes[0] and "no memory" in table.notes[1]
    assert table.cells()[5][3:] == ["–"] * 6


def test_every_program_gets_the_same_setting():
    settings = [*compute.settings_of("mixer_s32", (16, 32), {"image_size": 64})]
    assert len(settings) == 2 * (4 + 3 + 1)
    training = {program: each for program, each in settings[:4]}
    assert [*training] == ["ours", "ours, XLA", "ours, recompute", "Flax"]
    assert dataclasses.replace(training["ours, XLA"], jit_compile=False) == training["Flax"]
    recomputed = dataclasses.replace(training["ours, recompute"], recompute=False)
    assert (
        recomputed == training["ours"] == training["Flax"] == Setting("mixer_s32", TRAINING, 16, 64)
    )


def test_each_group_varies_one_thing():
    base = Setting("mixer_b16", TRAINING, 32, fields={"num_blocks": 2})
    values = dict(
        devices=(1, 2),
        accumulation_steps=(1, 4),
        steps_per_execution=(1, 10),
        num_classes=(10, 21843),
    )
    pairs = [*scaling.settings_of(base, values)]
    for name, field in scaling.GROUPS.items():
        group = [setting for title, setting in pairs if title == name]
        assert [getattr(each, field) for each in group] == list(values[field])
        assert dataclasses.replace(group[0], **{field: 0}) == dataclasses.replace(
            group[1], **{field: 0}
        )
    table = scaling.make_table(
        [(name, Result(each, 10.0 * (i + 1), "", 1e11)) for i, (name, each) in enumerate(pairs)]
    )
    assert [row[4] for row in table.rows] == pytest.approx([1, 2, 1, 4 / 3, 1, 6 / 5, 1, 8 / 7])


def test_startup_in_units_of_an_import_of_tensorflow():
    runs = [Duration(5.0, 2.0), Duration(4.0, 3.0)]
    assert startup.fastest(runs) == runs[1]
    table = startup.make_table({"import tensorflow": runs[1], "mixer --help": Duration(1.0, 1.0)})
    assert [row[3] for row in table.rows] == [1, 0.25]
    assert startup.make_table({"mixer --help": runs[0]}).rows[0][3] is None


def test_the_demo_with_and_without_the_cache():
    steps = {"A": {"seconds": 3.0, "cached": False}, "B": {"seconds": 1.0, "cached": False}}
    again = {"A": {"seconds": 0.1, "cached": True}, "B": {"seconds": 0.5, "cached": False}}
    table = startup.make_demo_table((Duration(20, 10), steps), (Duration(8, 6), again))
    assert table.rows == [
        ("A", 3.0, 0.1),
        ("B", 1.0, None),
        ("start and end", 6.0, 5.4),
        ("in all", 10, 6),
    ]
    steps["A"]["overhead"] = 0.7
    table = startup.make_demo_table((Duration(20, 10), steps), (Duration(8, 6), again))
    assert [row[3] for row in table.rows] == [0.7, None, None, None]
    assert table.to_text()


def test_an_unknown_command_of_startup():
    result = CliRunner().invoke(startup.main, ["--only=mixer x"])
    assert result.exit_code == 1
    assert "--only must be part of a command; got 'mixer x' of python; import" in result.output


def test_the_rate_without_the_start(monkeypatch):
    """A start of 5 s, and 0.2 s for each image, by a clock that the work moves."""
    now = [0.0]
    monkeypatch.setattr(evaluation.time, "monotonic", lambda: now[0])

    def work(images, seconds=0.2):
        now[0] += 5 + seconds * images

    assert evaluation.rate_without_start(work, 10, 60, 50) == pytest.approx(5)
    assert evaluation.rate_without_start(lambda images: work(images, 0), 10, 60, 50) is None


def test_shares_of_the_limits():
    row = evaluation.row_of("t", "w", 45.0, {"forward": 100.0, "decode": 90.0, "both": 50.0})
    assert row == ("t", "w", 45.0, 0.45, 0.5, 0.9)
    row = evaluation.row_of("t", "w", None, {"forward": 100.0, "decode": 90.0, "both": 50.0})
    assert row == ("t", "w", None, None, None, None)
    (note,) = evaluation.notes([row, ("t", "v", 1.0, 1.0, 1.0, 1.0)])
    assert note.startswith("No longer than its start took: w of t; use more images")
    assert not evaluation.notes([("t", "v", 1.0, 1.0, 1.0, 1.0)])


def test_growth_of_linear_and_quadratic_times():
    sizes = (1000, 2000, 4000)
    assert training_input.growth(sizes, [3 + n / 500 for n in sizes]) == pytest.approx(1)
    assert training_input.growth(sizes, [3 + n**2 for n in sizes]) == pytest.approx(2)
    assert training_input.growth(sizes, [1.0, 1.0, 2.0]) is None
    table = training_input.make_growth_table(sizes, [(n, n, n**2, 1) for n in sizes])
    assert table.cells()[-1] == ["growth", "1.000", "1.000", "2.000", "–"]


def test_rows_of_the_input():
    rows = training_input.make_rows("PNG", 90.0, 100.0, 120.0)
    assert rows[0] == ("PNG", "ours", 90.0, 0.75, 0.9)
    assert rows[2][3:] == (1, 1.2)


def test_the_cost_of_preparation_is_that_of_the_images_that_were_not_subtracted():
    """0.1 ms for each of 80 images, without 16 of which 64 are left."""
    from benchmarks import preparation  # imports Beam

    loop, one, two = (0.01, 0.008), ((0.01, 0.0064), 2.0), ((0.005, 0.0128), 3.0)
    row = preparation._row("Preprocessor", 80, 16, loop, one, two)
    assert row == ("Preprocessor", "100", "100", "200", "100%", "2.00", "2.0", "3.0")


def test_preparation_needs_more_than_the_images_that_are_subtracted(image_folder, tmp_path):
    from benchmarks import preparation

    (tmp_path / "cat").mkdir()
    for path in sorted((image_folder / "cat").iterdir())[:5]:
        (tmp_path / "cat" / path.name).symlink_to(path)
    result = CliRunner().invoke(preparation.main, [f"folder:{tmp_path}"])
    assert result.exit_code == 1
    assert re.search(r"training images beside the first (\d), .*; got \1\.", result.output)


@pytest.mark.parametrize(
    ("command", "arguments", "message"),
    [
        (compute.main, ["--model=vit_b16"], "--model must be a Mixer"),
        (compute.main, ["--batch-sizes=x"], "must be different numbers of at least 1"),
        (training_input.main, ["--sizes=200,400"], "must be three numbers of images"),
        (training_input.main, ["--folder=/nowhere"], "must have \\*.jpg files; /nowhere has none"),
        (bench.main, ["speed"], "'speed' is not one of 'compute', 'scaling'"),
        (bench.main, ["--page=/nowhere.md"], "/nowhere.md"),
    ],
)
def test_wrong_arguments(command, arguments, message):
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code and re.search(message, result.output), result.output


def test_a_failure_leaves_its_tables_and_runs_the_others(tmp_path, monkeypatch):
    path = tmp_path / "speed.md"
    path.write_text(TEXT + TEXT.replace("compute", "scaling"))

    def measure(name):
        if name == "compute":
            raise ValueError("it must not fail.")
        return [TABLE]

    monkeypatch.setattr(bench, "measure", measure)
    result = CliRunner().invoke(bench.main, ["compute", "scaling", f"--page={path}"])
    assert result.exit_code == 1
    assert "compute failed: it must not fail." in result.output
    first, second = path.read_text().split("b\n# a")
    assert "old" in first and "old" not in second and "| é | – | 2.0 |" in second


def test_settings_that_all_failed_leave_their_tables_too(tmp_path, monkeypatch):
    path = tmp_path / "speed.md"
    path.write_text(TEXT + TEXT.replace("compute", "scaling"))
    found = [("ours", make(TRAINING, 16, None, None, "no memory"))]
    tables = {"compute": [TABLE, compute.make_table(found)], "scaling": [TABLE]}
    monkeypatch.setattr(bench, "measure", tables.get)
    result = CliRunner().invoke(bench.main, ["compute", "scaling", f"--page={path}"])
    assert result.exit_code == 1
    assert "compute failed: at least one setting must be measured; none was." in result.output
    assert "training, ours, 16 images: no memory." in result.output
    assert path.read_text().startswith(TEXT) and "| é | – | 2.0 |" in path.read_text()


def test_a_table_without_rates_has_not_failed():
    assert not Table((Column("name"), Column("s", ".1f")), [("a", None)]).has_failed
    assert not dataclasses.replace(TABLE, rows=[("a", 1.0, None), ("b", None, 2.0)]).has_failed
    assert dataclasses.replace(TABLE, rows=[("a", 1.0, None)]).has_failed


def test_the_rate_of_calls(monkeypatch):
    """Calls of 0.25 s by a clock that they move; the first does not count."""
    now = [0.0]
    monkeypatch.setattr(timing.time, "monotonic", lambda: now[0])

    def run():
        now[0] += 0.25

    assert timing.calls_per_second(run, 0) == timing.calls_per_second(run, 1) == 4
    assert now[0] == 2 * 0.25 + 5 * 0.25


def test_the_peak_memory_is_that_of_the_process_alone():
    ones = np.ones(1 << 28, np.uint8)  # 256 MiB
    assert machine.peak_memory() > ones.nbytes
    code = "from mixer_tf.benchmarks import machine; print(machine.peak_memory())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert 1 << 22 < int(done.stdout) < ones.nbytes


COMMANDS = {
    "compute": ["--model=mixer_s16", "--blocks=1", "--image-size=32", "--batch-sizes=2"],
    "scaling": [
        *("--model=mixer_s16", "--blocks=1", "--image-size=32", "--batch-size=4", "--devices=1,2"),
        *("--accumulation-steps=2", "--steps-per-execution=5", "--num-classes=10"),
    ],
    "evaluation": ["--model=mixer_s32", "--images=12", "--small-images=80"],
    "training_input": ["--sizes=128,256,512"],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_a_tiny_run(name):
    found = _run(name, *COMMANDS[name], "--seconds=0.1")
    for table in found:
        assert table["rows"]
        for row in table["rows"]:
            assert all(isinstance(value, str) or value != 0 for value in row.values())
            if row.get("work") == "BulkPredictor" and row["images/s"] is None:
                assert "BulkPredictor" in table["notes"][-1]  # a dozen images hide in Beam's start
            elif "images/s" in row:
                assert row["images/s"] > 0, (row, table["notes"])


@pytest.mark.slow
def test_a_tiny_run_of_startup():
    """Without `make demo`, which takes minutes."""
    only = ("python", "tensorflow", "predict", "first training step")
    (table,) = _run("startup", "--repeats=1", *(f"--only={text}" for text in only))
    seconds = {row["command"]: row["CPU s"] for row in table["rows"]}
    assert len(seconds) == 5
    assert seconds["python"] < seconds["python -m pipeline.local_runner --help"]
    assert seconds["import tensorflow"] < seconds["first training step of digits"]


def _run(name: str, *arguments: str) -> list[dict]:
    command = [sys.executable, "-m", f"benchmarks.{name}", *arguments, "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)["tables"]
