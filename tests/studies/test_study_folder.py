# SPDX-License-Identifier: Apache-2.0
"""The folder of a study: it is recognized, nothing in it is lost, and no training is repeated."""

import dataclasses
import json

import pytest

from mixer_tf import recipes, storage
from mixer_tf.datasets.sources.source import Source
from mixer_tf.models import costs
from mixer_tf.studies import results, trials
from mixer_tf.studies.study_folder import StudyFolder, Trial
from mixer_tf.training.callbacks import TrainingDivergedError
from mixer_tf.training.length import TrainingLength

RECIPE = recipes.get("digits")


def make_source(spec: str = "folder:/pets", state: str = "1") -> Source:
    return Source(spec, ("a",), {}, iter, lambda: [state])


@pytest.fixture
def folder(tmp_path) -> StudyFolder:
    return StudyFolder(str(tmp_path / "study"))


def test_the_same_study_is_recognized(folder):
    folder.claim("scaling", {"data": make_source()})
    folder.claim("scaling", {"data": make_source()})
    state = json.loads(storage.read_text(folder.path("study.json")))
    assert state["study"] == "scaling" and state["sources"]["data"]["source"] == "folder:/pets"


@pytest.mark.parametrize(
    ("kind", "sources", "message"),
    [
        ("ablations", {"data": make_source()}, "holds the study 'scaling'"),
        ("scaling", {"data": make_source("folder:/x")}, "holds this study of folder:/pets"),
        ("scaling", {"data": make_source(state="2")}, "folder:/pets before its images changed"),
        (
            "scaling",
            {"data": make_source(), "target": make_source()},
            "holds this study with the images data",
        ),
    ],
)
def test_another_study_is_refused(folder, kind, sources, message):
    folder.claim("scaling", {"data": make_source()})
    with pytest.raises(ValueError, match=message):
        folder.claim(kind, sources)


def test_other_files_are_refused(folder, tmp_path):
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match="holds other files"):
        folder.claim("scaling", {"data": make_source()})
    with pytest.raises(ValueError, match="must be a folder of this machine"):
        StudyFolder("gs://bucket/study")


def test_the_folder_of_a_trial_differs_by_everything_that_decides_its_result(folder):
    trial = Trial("digits", RECIPE, {"share": 0.1}, {"shots": 5})
    others = [
        trial,
        dataclasses.replace(trial, settings={"share": 0.3}),
        dataclasses.replace(trial, measured={"shots": 1}),
        dataclasses.replace(trial, recipe=RECIPE.override(["training.seed=1"])),
        dataclasses.replace(trial, model="../a b"),
    ]
    names = [folder.trial_folder(each).rsplit("/", 1)[1] for each in others]
    assert len(set(names)) == 5
    assert names[0].startswith("digits,share=0.1-")
    assert names[4].startswith(".._a_b,share=0.1-")


def make_trials(count: int) -> list[Trial]:
    return [Trial(f"model{number}", RECIPE, {"share": number}) for number in range(count)]


def test_finished_trainings_are_not_repeated_after_an_interruption(folder):
    trained, reported = [], []

    def train(trial):
        if trial.model == "model2" and "model2" not in trained:
            trained.append(trial.model)
            raise KeyboardInterrupt
        trained.append(trial.model)
        return {"model": trial.model}

    def finished(trial, result, is_new):
        reported.append((result["model"], is_new))

    with pytest.raises(KeyboardInterrupt):
        trials.run(make_trials(4), folder, train)
    found = trials.run(make_trials(4), folder, train, finished)
    assert found == [{"model": f"model{number}"} for number in range(4)]
    assert trained == ["model0", "model1", "model2", "model2", "model3"]
    assert reported == [("model0", False), ("model1", False), ("model2", True), ("model3", True)]


def test_a_diverged_training_is_a_result_and_the_others_go_on(folder):
    def train(trial):
        if trial.model == "model0":
            raise TrainingDivergedError("the loss must stay finite\nmore")
        return {"model": trial.model}

    found = trials.run(make_trials(2), folder, train)
    problem = {"model": "model0", "share": 0, "problem": "the loss must stay finite"}
    assert found == [problem, {"model": "model1"}]
    assert folder.read_result(make_trials(1)[0]) == problem


def test_a_finished_training_has_no_checkpoints(folder, tmp_path):
    (trial,) = make_trials(1)
    (tmp_path / "study" / "trials" / trial.folder_name / "checkpoints" / "1").mkdir(parents=True)
    folder.write_result(trial, {"top_1": 0.5})
    assert sorted(
        p.name for p in (tmp_path / "study" / "trials" / trial.folder_name).iterdir()
    ) == ["result.json"]


def test_time_left_follows_from_the_same_model_or_from_multiply_adds(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(trials.time, "monotonic", lambda: now[0])
    small, large = RECIPE, RECIPE.override(["model.num_blocks=8"])
    ratio = costs.count_multiply_adds(large.model.config(1)) / costs.count_multiply_adds(
        small.model.config(1)
    )
    todo = [
        *(Trial("old", small, {"share": 0}), Trial("small", small, {"share": 1})),
        *(Trial("small", small, {"share": 2}), Trial("large", large, {"share": 1})),
    ]
    time_left = trials.TimeLeft(todo, work=lambda trial: 10.0)
    assert time_left.finished(todo[0], is_new=False) is None
    now[0] += 30
    assert time_left.finished(todo[1], is_new=True) == pytest.approx(30 + 30 * ratio)
    now[0] += 50
    assert time_left.finished(todo[2], is_new=True) == pytest.approx(40 * ratio)


def test_time_left_after_a_resumed_training_follows_from_the_steps_of_this_run(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(trials.time, "monotonic", lambda: now[0])
    todo = [Trial("same", RECIPE, {"share": share}) for share in range(2)]
    time_left = trials.TimeLeft(todo, work=lambda trial: 10.0)
    for step in range(6, 11):
        time_left.step(todo[0], step, 10)
    now[0] += 30
    assert time_left.finished(todo[0], is_new=True) == pytest.approx(60)


def test_steps_are_reported_over_the_whole_training():
    seen = []
    progress = trials.StepProgress(TrainingLength(2, 7), lambda *numbers: seen.append(numbers))
    for epoch, batches in ((0, 4), (1, 3)):
        progress.on_epoch_begin(epoch)
        for batch in range(batches):
            progress.on_train_batch_end(batch)
    assert seen == [(step, 7) for step in range(1, 8)]


def test_results_as_json_and_csv(tmp_path):
    rows = [{"model": "=cmd", "top_1": 0.5, "few_shot": [1, 2]}, {"model": "b", "problem": "x"}]
    results.write_json(str(tmp_path / "r.json"), {"study": "scaling"}, rows)
    assert json.loads((tmp_path / "r.json").read_text()) == {"study": "scaling", "trainings": rows}
    results.write_csv(str(tmp_path / "r.csv"), ("model", "top_1", "problem"), rows)
    assert (tmp_path / "r.csv").read_text() == "model,top_1,problem\n'=cmd,0.5,\nb,,x\n"
