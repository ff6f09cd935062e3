# SPDX-License-Identifier: Apache-2.0
"""The local runner with --tune: the pushed model was trained with the better hyperparameters."""

import json
import pathlib
import subprocess
import sys

import pytest

from mixer_tf import recipes
from mixer_tf.export.loading import open_export

ROOT = pathlib.Path(__file__).parents[2]
QUICK = ["training.epochs=1", "training.batch_size=128"]
FIXED = ["--source=digits", "--min-accuracy=0", "--deduplicate=off"]


def run(root: pathlib.Path, *arguments: str) -> tuple[dict, subprocess.CompletedProcess]:
    overrides = [f"--set={override}" for override in QUICK]
    result = subprocess.run(
        [sys.executable, "-m", "pipeline.local_runner"]
        + [f"--root={root}", *FIXED, *overrides, "--tune", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return json.loads((root / "summary.json").read_text()), result


@pytest.mark.slow
@pytest.mark.e2e
@pytest.mark.timeout(1500)
def test_the_better_hyperparameters_are_pushed_and_a_second_run_is_cached(tmp_path):
    grid = "--grid=optimizer.learning_rate=1e-7,0.01"
    first, result = run(tmp_path, grid)
    assert result.stderr == ""
    assert "trial 1/2  optimizer.learning_rate=1e-7  top-1 0." in result.stdout
    tuning = first["tuning"]
    assert tuning["best"] == {"optimizer.learning_rate": 0.01}
    assert (tuning["trials"], tuning["failed"]) == (2, 0)
    records = json.loads(pathlib.Path(tuning["results"]).read_text())
    assert [record["optimizer.learning_rate"] for record in records] == [0.01, 1e-7]
    assert tuning["accuracy"] == records[0]["score"] > records[1]["score"]
    assert "tuned        optimizer.learning_rate=0.01, best of 2 trials: eval top-1 0." in (
        result.stdout
    )
    expected = recipes.get("digits").override([*QUICK, "optimizer.learning_rate=0.01"])
    assert open_export(first["pushed_model"]).recipe == expected

    second, _ = run(tmp_path, grid)
    assert second["steps"]["Tuner"]["cached"] and second["steps"]["Trainer"]["cached"]
    assert second["tuning"]["best"] == tuning["best"]

    third, result = run(tmp_path, "--grid=optimizer.learning_rate=1e-7,0.01,1e8", "--to=Tuner")
    assert not third["steps"]["Tuner"]["cached"]
    assert (third["tuning"]["trials"], third["tuning"]["failed"]) == (3, 1)
    finished = sorted(tmp_path.glob("tuning/*/trials/*/result.json"))
    assert len(finished) == 3  # those of the first run were used again
