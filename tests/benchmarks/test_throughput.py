# SPDX-License-Identifier: Apache-2.0
"""`mixer bench throughput`: the best batch, the end of memory, and a real measurement."""

import csv
import json

import pytest
from click.testing import CliRunner
from PIL import Image

from mixer_tf.benchmarks import throughput, throughput_plot
from mixer_tf.benchmarks.throughput import FORWARD, TRAINING, Result, Setting
from mixer_tf.cli import main
from mixer_tf.models import registry


def make(model: str, mode: str, size: int, rate: float | None, problem: str = "") -> Result:
    return Result(Setting(model, mode, size), rate, problem, 1e11)


RESULTS = [
    make("mixer_s32", FORWARD, 32, 30.0),
    make("mixer_s32", FORWARD, 64, 40.0),
    make("mixer_s32", FORWARD, 128, 35.0),
    make("mixer_s32", TRAINING, 32, 9.0),
    make("mixer_s32", TRAINING, 64, None, "needs about 9.0 GB of memory; 8.0 GB are free"),
    make("mixer_h14", FORWARD, 32, None, "needs about 9.0 GB of memory; 8.0 GB are free"),
]


def test_the_best_batch_of_each_model_and_mode():
    found = [
        (r.setting.model, r.setting.mode, r.setting.batch_size) for r in throughput.best(RESULTS)
    ]
    assert found == [("mixer_s32", FORWARD, 64), ("mixer_s32", TRAINING, 32)]


def test_the_share_of_a_matrix_product_by_hand():
    """1.00 G multiply-adds are 2 G operations forward, and three times as many in training."""
    operations = registry.describe("mixer_s32").multiply_adds
    forward, _, _, training, nothing, _ = RESULTS
    assert forward.utilization == pytest.approx(30 * 2 * operations / 1e11)
    assert training.utilization == pytest.approx(9 * 6 * operations / 1e11)
    assert nothing.utilization is None


def test_the_papers_batch_sizes_and_all_models():
    assert throughput.BATCH_SIZES == (32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)
    assert {"mixer_h14", "vit_h14", "bit_r152x4"} <= set(throughput.all_models())


def test_no_process_is_started_where_memory_is_too_small():
    """Without memory, every model ends with its first batch, in no time."""
    found = list(
        throughput.measure(
            ["mixer_s32", "vit_b16"], throughput.MODES, (32, 64), seconds=1, memory=0
        )
    )
    assert [(r.setting.model, r.setting.batch_size) for r in found] == [
        *[("mixer_s32", 32)] * 2,
        *[("vit_b16", 32)] * 2,
    ]
    assert all("GB of memory; 0.0 GB are free" in result.problem for result in found)


def test_the_estimate_grows_with_the_batch_and_is_less_in_16_bits():
    one, two = (throughput.estimate_memory(Setting("vit_b16", TRAINING, n)) for n in (64, 128))
    half = Setting("vit_b16", TRAINING, 128, precision="mixed_bfloat16")
    assert one < two < 2 * one
    assert two / 2 < throughput.estimate_memory(half) < two
    assert throughput.estimate_memory(Setting("vit_b16", FORWARD, 128)) < two / 5


def test_a_plot_of_what_was_measured(tmp_path):
    path = tmp_path / "throughput.png"
    throughput_plot.draw(RESULTS, str(path), "a machine")
    assert min(Image.open(path).size) > 400
    throughput_plot.draw(RESULTS[-1:], str(path), "nothing was measured")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mixer_x99"], "unknown model 'mixer_x99'"),
        (["mixer_s32", "--image-size=100"], "patch_size must divide image_size"),
        (["mixer_s32", "--batch-sizes=1,x"], "must be different numbers of at least 1"),
        (["mixer_s32", "--batch-sizes=0"], "must be different numbers of at least 1"),
    ],
)
def test_wrong_arguments(arguments, message):
    result = CliRunner().invoke(main, ["bench", "throughput", *arguments])
    assert result.exit_code and message in result.output


def test_nothing_fits(tmp_path):
    command = ["bench", "throughput", "mixer_b16", "--memory=0.1", f"--output={tmp_path}"]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    assert "note: mixer_b16 was not measured (training): needs about " in result.output
    again = CliRunner().invoke(main, command)
    assert again.exit_code == 1 and "throughput.csv exists already" in again.output


@pytest.mark.slow
def test_a_measurement(tmp_path):
    command = ["bench", "throughput", "mixer_s16", "--image-size=32", "--num-classes=5"]
    command += ["--batch-sizes=2,4", "--seconds=0.2", f"--output={tmp_path}", "--json"]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert [(r["mode"], r["batch_size"]) for r in found["results"]] == [
        *[(FORWARD, 2), (FORWARD, 4)],
        *[(TRAINING, 2), (TRAINING, 4)],
    ]
    for row in found["results"]:
        assert row["images_per_second"] > 0 and not row["problem"] and 0 < row["utilization"] < 3
    rows = list(csv.DictReader((tmp_path / "throughput.csv").open()))
    assert len(rows) == 4 and (tmp_path / "throughput.png").exists()
