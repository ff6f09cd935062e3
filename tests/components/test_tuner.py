# SPDX-License-Identifier: Apache-2.0
"""The Tuner's executor on a tiny dataset, and its files as TFX's own code reads them."""

import json
import os
import pathlib
import shutil

import keras_tuner
import pytest
from tfx.components.trainer.executor import GenericExecutor
from tfx.proto import trainer_pb2
from tfx.types import Channel, standard_artifacts
from tfx.utils import json_utils, proto_utils

from components import hyperparameters
from components.tuner import Tuner, executor, results
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.training import sweep, sweep_trials

RATES = ["optimizer.learning_rate=1e-7,0.01"]


def artifact(kind, path):
    """An artifact whose folder does not exist, as in Kubeflow Pipelines v2."""
    made = kind()
    made.uri = str(path)
    return made


@pytest.fixture
def outputs(tmp_path) -> dict:
    return {
        "best_hyperparameters": [artifact(standard_artifacts.HyperParameters, tmp_path / "best")],
        "tuner_results": [artifact(standard_artifacts.TunerResults, tmp_path / "results")],
    }


@pytest.fixture
def config(recipe, tmp_path) -> dict:
    return {
        "recipe": recipe.override(["training.epochs=2"]).to_json(),
        "grids": RATES,
        "count": None,
        "strategy": "default",
        "trials_dir": str(tmp_path / "tuning"),
        "fingerprint": "abc",
    }


def run(folder: str, outputs: dict, config: dict, **parameters) -> None:
    examples = artifact(standard_artifacts.Examples, folder)
    properties = Tuner(Channel(type=standard_artifacts.Examples), config).exec_properties
    executor.Executor().Do({"examples": [examples]}, outputs, {**properties, **parameters})


def records(outputs: dict) -> list[dict]:
    path = pathlib.Path(outputs["tuner_results"][0].uri, "tuner_results.json")
    return json.loads(path.read_text())


def finished(
    trial: sweep_trials.Trial, accuracy: float | None, problem: str = ""
) -> sweep_trials.Result:
    return sweep_trials.Result(trial, accuracy, 3, 4.0, problem)


@pytest.fixture
def trials_run(monkeypatch):
    """A function that makes trials reach given accuracies without a training."""

    def set_accuracies(*accuracies):
        def fake(trials, data, *, finished: object, **_):
            found = [
                sweep_trials.Result(
                    trial, accuracy, 3, 4.0, "" if accuracy is not None else "no memory"
                )
                for trial, accuracy in zip(trials, accuracies, strict=True)
            ]
            for result in found:
                os.makedirs(result.trial.folder)
                finished(result)
            return found

        monkeypatch.setattr(sweep, "run", fake)

    return set_accuracies


def test_files_are_read_by_keras_tuner_and_by_the_trainer_of_tfx(
    dataset, outputs, config, recipe, trials_run, capsys
):
    trials_run(0.5, 0.75)
    run(dataset.folder, outputs, config)
    assert "trial 2/2  optimizer.learning_rate=0.01  top-1 0.7500" in capsys.readouterr().out
    text = pathlib.Path(outputs["best_hyperparameters"][0].uri, "best_hyperparameters.txt")
    space = keras_tuner.HyperParameters.from_config(json.loads(text.read_text()))
    assert space.values == {"optimizer.learning_rate": 0.01}
    assert sorted(space.space[0].values) == [1e-7, 0.01]

    examples = artifact(standard_artifacts.Examples, dataset.folder)
    examples.split_names = '["train", "eval"]'
    model = artifact(standard_artifacts.Model, outputs["tuner_results"][0].uri + "/model")
    given = GenericExecutor()._GetFnArgs(
        {"examples": [examples], "hyperparameters": outputs["best_hyperparameters"]},
        {"model": [model], "model_run": [model]},
        {
            "train_args": proto_utils.proto_to_json(trainer_pb2.TrainArgs()),
            "eval_args": proto_utils.proto_to_json(trainer_pb2.EvalArgs()),
            "custom_config": json_utils.dumps({}),
        },
    )
    assert hyperparameters.apply(recipe, given.hyperparameters).optimizer.learning_rate == 0.01


def test_each_trial_is_a_record_the_best_first_and_failed_ones_last(
    dataset, outputs, config, trials_run
):
    trials_run(0.5, None, 0.75, 0.75)
    grids = ["optimizer.learning_rate=0.1,0.2", "optimizer.clip_norm=none,1"]
    run(dataset.folder, outputs, {**config, "grids": grids})
    found = records(outputs)
    assert [record["score"] for record in found] == [0.75, 0.75, 0.5, None]
    assert found[0]["optimizer.learning_rate"] == found[1]["optimizer.learning_rate"] == 0.2
    assert [record["optimizer.clip_norm"] for record in found] == ["none", 1.0, "none", 1.0]
    assert found[-1]["problem"] == "no memory"
    best = pathlib.Path(outputs["best_hyperparameters"][0].uri, "best_hyperparameters.txt")
    values = json.loads(best.read_text())["values"]
    assert values == {"optimizer.learning_rate": 0.2, "optimizer.clip_norm": "none"}


@pytest.mark.parametrize(
    ("grid", "changed"),
    [
        ("optimizer.clip_norm=none,2", {"clip_norm": None}),
        ("data.flip=false,true", {"flip": False}),
        ("training.steps=7,9", {"steps": 7}),
        ("model.patch_size=2,4", {}),
        ("training.loss=sigmoid,softmax", {"loss": "sigmoid"}),
    ],
)
def test_values_of_every_type_come_back_as_they_were(grid, changed, recipe, tmp_path):
    first, second = grid.partition("=")[2].split(",")
    points = [(grid.replace(f"{first},{second}", value),) for value in (first, second)]
    trials = sweep_trials.make_trials(recipe, points, [recipe.training.seed], str(tmp_path))
    found = [finished(trials[0], 0.9), finished(trials[1], 0.1)]
    results.write(found, str(tmp_path / "best"), str(tmp_path / "results"))
    config = json.loads((tmp_path / "best" / "best_hyperparameters.txt").read_text())
    tuned = hyperparameters.apply(recipe, config)
    assert tuned == trials[0].recipe
    section = grid.partition(".")[0]
    for field, value in changed.items():
        assert getattr(getattr(tuned, section), field) == value


def test_when_all_trials_fail_the_error_says_why(dataset, outputs, config, trials_run, tmp_path):
    trials_run(None, None)
    with pytest.raises(ValueError, match="all 2 failed, the first one with: no memory"):
        run(dataset.folder, outputs, config)
    assert not (tmp_path / "best").exists()
    (table,) = tmp_path.glob("tuning/*/results.csv")
    assert table.read_text().count("no memory") == 2


def test_without_images_to_choose_by_there_is_no_search(dataset, outputs, config, tmp_path):
    info = dataset.info
    counts = {split: count for split, count in info.counts.items() if split != "eval"}
    DatasetInfo(info.source, info.class_names, counts).write(str(tmp_path))
    with pytest.raises(ValueError, match="requires an evaluation split to choose by; tiny has no"):
        run(str(tmp_path), outputs, config)


def test_a_search_on_several_workers_is_refused(dataset, outputs, config, two_workers, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", two_workers[0])
    with pytest.raises(ValueError, match="must run on one machine; TF_CONFIG lists 2 workers"):
        run(dataset.folder, outputs, config)


def test_overrides_of_a_run_change_the_recipe_that_is_tuned(
    dataset, outputs, config, trials_run, tmp_path
):
    trials_run(0.5, 0.6)
    config["trials_dir"] = "tuning"
    run(dataset.folder, outputs, config, overrides="training.epochs=3", root=str(tmp_path / "root"))
    (best,) = tmp_path.glob("root/tuning/*/best_recipe.json")
    assert json.loads(best.read_text())["training"]["epochs"] == 3
    with pytest.raises(ValueError, match="must be set when the pipeline is compiled"):
        run(dataset.folder, outputs, config, overrides="data.train_shorter_side=9")


def test_the_folder_of_the_trials_stays_until_code_or_data_change(dataset, config, tmp_path):
    key = executor.trials_key(config, dataset.folder)
    other = {**config, "recipe": "{}", "grids": [], "strategy": "auto"}
    assert executor.trials_key(other, dataset.folder) == key
    copy = tmp_path / "copy"
    shutil.copytree(dataset.folder, copy)
    keys = {
        key,
        executor.trials_key({**config, "fingerprint": "abd"}, dataset.folder),
        executor.trials_key(config, str(copy)),
    }
    shards = sorted((copy / "Split-eval").iterdir())
    shards[0].write_bytes(shards[0].read_bytes() + b"\0")
    assert len({*keys, executor.trials_key(config, str(copy))}) == 4


@pytest.mark.slow
def test_a_search_trains_each_trial_and_a_second_one_reuses_them(
    dataset, outputs, config, tmp_path
):
    run(dataset.folder, outputs, config)
    first = records(outputs)
    assert {record["optimizer.learning_rate"] for record in first} == {0.01, 1e-7}
    assert first[0]["score"] >= first[1]["score"] > 1 / 3  # the share of each class
    times = {path: path.stat().st_mtime_ns for path in tmp_path.glob("tuning/*/trials/*/result*")}
    assert len(times) == 2 and not list(tmp_path.glob("tuning/*/trials/*/checkpoints/*"))

    run(dataset.folder, outputs, {**config, "grids": ["optimizer.learning_rate=1e-7,0.01,0.02"]})
    assert {path: path.stat().st_mtime_ns for path in times} == times
    again = records(outputs)
    assert len(again) == 3 and all(record in again for record in first)
