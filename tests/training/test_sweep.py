# SPDX-License-Identifier: Apache-2.0
import csv
import dataclasses
import json
import os
import pathlib
import subprocess
import sys

import pytest
from click.testing import CliRunner
from harness import is_running, wait_for

from mixer_tf import recipes
from mixer_tf.cli import main
from mixer_tf.training import checkpoint_options, gpus, sweep, sweep_trials, trainer
from mixer_tf.training.callbacks import TrainingDivergedError
from mixer_tf.training.checkpoint_options import CheckpointOptions

POINTS = [("optimizer.learning_rate=0.01",), ("optimizer.learning_rate=0.03",)]


@pytest.fixture
def recipe():
    return recipes.get("digits")


def make_results(trials, accuracies):
    return [
        sweep_trials.Result(trial, accuracy, 1, 2.0, "" if accuracy is not None else "diverged")
        for trial, accuracy in zip(trials, accuracies, strict=True)
    ]


def test_each_point_and_seed_is_a_trial_with_its_recipe_and_folder(recipe, tmp_path):
    trials = sweep_trials.make_trials(recipe, POINTS, [0, 7], str(tmp_path))
    assert [(t.point, t.seed) for t in trials] == [(p, s) for p in POINTS for s in (0, 7)]
    assert [t.recipe.optimizer.learning_rate for t in trials] == [0.01, 0.01, 0.03, 0.03]
    assert [t.recipe.training.seed for t in trials] == [0, 7, 0, 7]
    names = [pathlib.Path(t.folder).name for t in trials]
    assert len(set(names)) == 4 and names[0].startswith("learning_rate=0.01,seed=0-")
    again = sweep_trials.make_trials(recipe, POINTS[1:], [7], str(tmp_path))
    assert again[0].folder == trials[3].folder
    other = recipe.override(["training.epochs=3"])
    (changed,) = sweep_trials.make_trials(other, POINTS[1:], [7], str(tmp_path))
    assert changed.folder != trials[3].folder


def test_the_best_mean_over_the_seeds_wins_and_a_failed_seed_loses(recipe, tmp_path):
    points = [*POINTS, ("optimizer.learning_rate=0.1",)]
    trials = sweep_trials.make_trials(recipe, points, [0, 1, 2], str(tmp_path))
    accuracies = [0.5, 0.6, 0.7, 0.9, 0.1, 0.2, 0.99, None, 0.99]
    results = make_results(trials, accuracies)
    found = sweep_trials.scores(results)
    assert [score.point for score in found] == [points[0], points[1], points[2]]
    assert found[0].mean == pytest.approx(0.6)
    assert found[0].deviation == pytest.approx(0.1)
    assert (found[2].mean, found[2].failed) == (-1, 1)


def test_the_table_and_the_best_recipe_are_written(recipe, tmp_path):
    trials = sweep_trials.make_trials(recipe, POINTS, [0], str(tmp_path))
    path = sweep_trials.write_results(recipe, make_results(trials, [0.5, 0.75]), str(tmp_path))
    assert recipes.get(path) == recipe.override(POINTS[1])
    with open(tmp_path / sweep_trials.RESULTS, encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["optimizer.learning_rate"] for row in rows] == ["0.01", "0.03"]
    assert [float(row["accuracy"]) for row in rows] == [0.5, 0.75]
    failed = make_results(trials, [None, None])
    assert sweep_trials.write_results(recipe, failed, str(tmp_path)) is None


def test_a_finished_trial_is_not_repeated(recipe, tmp_path):
    (trial,) = sweep_trials.make_trials(recipe, POINTS[:1], [0], str(tmp_path))
    assert sweep_trials.read_result(trial) is None
    values = {"accuracy": 0.5, "epoch": 3, "seconds": 4.0, "problem": ""}
    path = pathlib.Path(trial.folder, "result.json")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(values), encoding="utf-8")
    pathlib.Path(trial.folder, "checkpoints").mkdir()  # left by a kill after the result
    (result,) = sweep.run([trial], "")  # no data: nothing is trained
    assert result == sweep_trials.Result(trial, 0.5, 3, 4.0)
    assert os.listdir(trial.folder) == ["result.json"]


def test_a_trial_that_diverges_leaves_no_checkpoints(recipe, tmp_path, dataset, monkeypatch):
    """It saves them as the options say that the pipeline states in the environment."""
    (trial,) = sweep_trials.make_trials(recipe, POINTS[:1], [0], str(tmp_path))
    monkeypatch.setenv(checkpoint_options.STEPS_VARIABLE, "50")

    def diverge(*_, checkpoint_dir, checkpoints, **__):
        assert checkpoints == CheckpointOptions(steps=50)
        os.makedirs(checkpoint_dir)
        raise TrainingDivergedError("the loss must stay finite")

    monkeypatch.setattr(trainer, "fit", diverge)
    sweep.train_trial(trial, dataset.folder, "default", verbose=False)
    assert sweep_trials.read_result(trial).problem == "the loss must stay finite"
    assert os.listdir(trial.folder) == ["result.json"]


@pytest.mark.parametrize(("visible", "count"), [("4,5", 2), ("-1", 1), ("", 1), ("7", 1)])
def test_only_visible_gpus_count(monkeypatch, visible, count):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpus.count_gpus() == count


def test_trials_get_the_numbers_of_visible_gpus(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    lend = gpus.make_lender(2)
    with lend() as first, lend() as second:
        assert {first, second} == {"4", "5"}


def test_trials_of_other_images_are_not_reused(recipe, tmp_path):
    def folder(data):
        return sweep_trials.make_trials(recipe, POINTS[:1], [0], str(tmp_path), data)[0].folder

    assert folder("folder:pets 1") == folder("folder:pets 1")
    assert len({folder("folder:pets 1"), folder("folder:pets 2"), folder("folder:cats 1")}) == 3


def test_trials_with_other_weights_of_one_name_are_not_reused(recipe, tmp_path):
    weights = tmp_path / "weights.npz"
    weights.write_bytes(b"1")

    def folder():
        points = [(f"model.weights={weights}",)]
        return sweep_trials.make_trials(recipe, points, [0], str(tmp_path))[0].folder

    first = folder()
    assert folder() == first
    weights.write_bytes(b"22")
    assert folder() != first


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_trials_get_no_gpu_that_is_hidden(monkeypatch, hidden):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    lend = gpus.make_lender(2)
    with lend() as first, lend() as second:
        assert first == second == "-1"


@pytest.fixture
def two_gpus(monkeypatch, tmp_path):
    """A machine whose nvidia-smi lists two."""
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'GPU 0: A (UUID: x)'\necho 'GPU 1: A (UUID: y)'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_more_trials_than_gpus_share_them(two_gpus):
    lend = gpus.make_lender(3)
    with lend() as first, lend() as second, lend() as third:
        assert sorted([first, second, third]) == ["0", "0", "1"]


def test_each_of_several_trials_has_a_device_of_its_own(two_gpus):
    lend = gpus.make_lender(2)
    with lend() as first, lend() as second:
        assert {first, second} == {"0", "1"}
    with lend() as first:
        assert first in ("0", "1")
    with gpus.make_lender(1)() as only:
        assert only is None


def test_a_trial_whose_process_ends_gives_the_last_line_of_its_output(recipe, tmp_path):
    (trial,) = sweep_trials.make_trials(recipe, POINTS[:1], [0], str(tmp_path))
    (result,) = sweep.run([trial], str(tmp_path / "nowhere"))
    assert result.accuracy is None and sweep_trials.read_result(trial) is None
    assert result.problem.startswith("the process ended with exit code 1: ")
    assert "a dataset folder must contain dataset.json; got" in result.problem
    assert result.problem.endswith(f"; see {trial.folder}/output.txt")


@pytest.mark.slow
def test_a_trial_ends_with_the_process_that_started_it(recipe, tmp_path, dataset):
    """Or the next search would train the same trial at the same time."""
    point = ("training.epochs=1000000", "training.batch_size=8")
    script, pids = tmp_path / "search.py", tmp_path / "pids.txt"
    script.write_text(
        "import multiprocessing, sys, threading, time\n"
        "from mixer_tf import recipes\n"
        "from mixer_tf.training import sweep, sweep_trials\n"
        "def write_pid():\n"
        "    while not multiprocessing.active_children():\n"
        "        time.sleep(0.1)\n"
        "    (child,) = multiprocessing.active_children()\n"
        "    open(sys.argv[3], 'w').write(str(child.pid))\n"
        "if __name__ == '__main__':\n"
        "    threading.Thread(target=write_pid, daemon=True).start()\n"
        f"    point = {point!r}\n"
        "    trials = sweep_trials.make_trials(recipes.get('digits'), [point], [0], sys.argv[1])\n"
        "    sweep.run(trials, sys.argv[2])\n"
    )
    command = [sys.executable, str(script), str(tmp_path), dataset.folder, str(pids)]
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    with subprocess.Popen(command, env=environment) as process:
        (trial,) = sweep_trials.make_trials(recipe, [point], [0], str(tmp_path))
        wait_for(lambda: list(pathlib.Path(trial.folder).glob("checkpoints/*")))
        os.kill(int(pids.read_text()), 0)  # it runs
        process.kill()
    wait_for(lambda: not is_running(int(pids.read_text())))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--grid=optimizer.rate=1,2"], "optimizer has no field 'rate'|optimizer.rate"),
        (["--grid=training.epochs=0,3"], "epochs must be from 1 to"),
        (["--grid=optimizer.learning_rate=1e-4..1e-2"], "requires --random"),
        (["--seeds=1,1"], "'--seeds': must be different numbers of at least 0"),
        (["--seeds=a"], "'--seeds': must be different numbers of at least 0"),
    ],
)
def test_what_cannot_be_searched_is_one_error_before_anything_is_written(
    arguments, message, tmp_path
):
    output = tmp_path / "sweep"
    result = CliRunner().invoke(
        main, ["sweep", "--source=digits", f"--output={output}", *arguments]
    )
    assert result.exit_code and not output.exists()
    assert any(part in result.output for part in message.split("|")), result.output


@pytest.mark.slow
def test_a_search_trains_resumes_and_its_best_recipe_can_be_trained(tmp_path):
    output = tmp_path / "sweep"
    # Few steps of warm-up and a short average, so that one epoch tells the rates apart anywhere.
    settings = ["training.epochs=1", "training.batch_size=64"]
    settings += ["optimizer.warmup_steps=2", "optimizer.ema=0.5"]
    exclude = tmp_path / "removed.txt"
    exclude.write_text("of-another-source.png\n", encoding="utf-8")
    arguments = ["sweep", "--source=digits", f"--output={output}", f"--exclude={exclude}"]
    arguments += [f"--set={setting}" for setting in settings]
    grid = "--grid=optimizer.learning_rate=0.0001,0.01,1e8"
    first = CliRunner().invoke(main, [*arguments, grid])
    assert first.exit_code == 0, first.output
    assert "1e8  the loss must stay finite" in first.output
    assert f"mixer train --source=digits --exclude={exclude} --recipe=" in first.output
    best = recipes.get(str(output / sweep_trials.BEST_RECIPE))
    assert best.optimizer.learning_rate == 0.01
    results = {path: path.stat().st_mtime for path in output.glob("trials/*/result.json")}
    assert len(results) == 3 and not list(output.glob("trials/*/checkpoints/*"))
    assert len(list(output.glob("trials/*/logs"))) == 3
    again = CliRunner().invoke(main, [*arguments, grid + ",0.02"])
    assert again.exit_code == 0, again.output
    assert {path: path.stat().st_mtime for path in results} == results
    assert len(list(output.glob("trials/*/result.json"))) == 4
    with open(output / sweep_trials.RESULTS, encoding="utf-8") as file:
        rows = {row["optimizer.learning_rate"]: row for row in csv.DictReader(file)}
    (folder,) = [p.parent for p in results if rows["0.01"]["folder"] == str(p.parent)]
    assert dataclasses.asdict(best)["training"]["epochs"] == 1
    trained = CliRunner().invoke(
        main,
        ["train", "--source=digits", f"--recipe={output / sweep_trials.BEST_RECIPE}"]
        + [f"--output={tmp_path / 'model'}"],
    )
    assert trained.exit_code == 0, trained.output
    accuracy = json.loads((folder / "result.json").read_text(encoding="utf-8"))["accuracy"]
    assert f"top-1    {accuracy:.4f}" in trained.output
