# SPDX-License-Identifier: Apache-2.0
"""What differs between runs, and nothing else."""

import dataclasses
import json
import shutil

import pytest

from mixer_tf import recipes
from mixer_tf.reports import comparison, recipe_changes, stored, training_folder
from mixer_tf.reports.facts import PIPELINE, TRAINING, RunFacts


@pytest.fixture
def other(full) -> RunFacts:
    """A later run with another recipe, one image more, and other figures."""
    recipe = recipes.get("digits").override(["training.epochs=4", "data.mixup=0.25"])
    counts = {"train": {"cat": 1201}, "test": {"cat": 100}}
    metrics = {"accuracy": 0.9, "example_count": 104.0}
    return dataclasses.replace(
        full,
        started="2026-11-26T17:00:00+00:00",
        options=("--deduplicate=mark", "--min-accuracy=0.5"),
        recipe=recipe_changes.describe(recipe, 2),
        data=dataclasses.replace(full.data, counts=counts),
        evaluation=dataclasses.replace(full.evaluation, metrics=metrics),
    )


def test_only_what_differs_is_listed(full, other):
    assert comparison.differences([full, other, full]) == {
        "recipe": {"training.epochs": [3, 4, 3]},
        "options": {"--min-accuracy": [None, "0.5", None]},
        "data": {"images, train": [1203, 1201, 1203]},
        "figures": {"test top-1": [0.875, 0.9, 0.875]},
    }
    assert comparison.differences([full, full]) == {}


def test_another_model_shows_the_fields_of_both(full):
    vit = recipes.get("photos").override(["model.name=vit_s16"])
    found = comparison.differences(
        [full, dataclasses.replace(full, recipe=recipe_changes.describe(vit))]
    )["recipe"]
    assert found["recipe"] == ["digits", "photos"]
    width = recipe_changes.flat(recipes.get("digits"))["model.tokens_mlp_dim"]
    assert width and found["model.tokens_mlp_dim"] == [width, None]  # a ViT has no such field


def test_the_state_of_images_counts_within_one_root_only(full):
    first, second = (
        dataclasses.replace(full, data=dataclasses.replace(full.data, fingerprint=each))
        for each in ("artifact 1", "artifact 9")
    )
    name = "state of the images"
    assert comparison.differences([first, second])["data"] == {name: ["artifact 1", "artifact 9"]}
    assert comparison.differences([first, dataclasses.replace(second, root="/other")]) == {}


def test_figures_of_a_run_without_a_step_are_missing():
    found = comparison.figures(RunFacts(TRAINING, "n", "/r"))
    assert set(found.values()) == {None}
    assert comparison.data(RunFacts(PIPELINE, "n", "/r")) == {}


def test_only_figures_of_the_test_split_are_called_so(full):
    evaluation = dataclasses.replace(full.evaluation, split="train, eval, test")
    found = comparison.figures(dataclasses.replace(full, evaluation=evaluation))
    assert found["test top-1"] is None and found["eval top-1, best"] == 0.5


def write_training(folder) -> None:
    """What `mixer train` has written before it reads images."""
    recipe = json.loads(recipes.get("digits").to_json())
    state = {"source": "folder:/pets", "fingerprint": "0af1", "recipe": recipe}
    folder.mkdir(parents=True)
    (folder / "training.json").write_text(json.dumps(state))


def test_an_evaluation_on_another_source_than_that_of_the_training_has_a_warning(tmp_path):
    write_training(tmp_path / "train-pets")
    found = {"splits": ["test"], "images": 4, "top_1": 0.5, "classes": {}, "warnings": ["other"]}
    for source, warnings in (
        ("folder:/pets", ("other",)),
        (
            "folder:/new",
            (
                "the images of the evaluation are from folder:/new, those of the training "
                "folder:/pets",
                "other",
            ),
        ),
    ):
        path = tmp_path / "train-pets" / "evaluation.json"
        path.write_text(json.dumps({**found, "source": source}))
        assert training_folder.read(str(path.parent)).evaluation.warnings == warnings


def write(root, run: RunFacts, name: str) -> None:
    path = root / "reports" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(run.to_json(), "utf-8")


def test_runs_of_all_roots_in_a_folder_are_in_order(full, other, tmp_path):
    write(tmp_path / "b", other, "2")
    write(tmp_path / "a", dataclasses.replace(full, started="2026-11-27T01:00:00+00:00"), "3")
    write(tmp_path / "b", full, "1")
    (tmp_path / "b" / "reports" / "partial-4.json").write_text("{")
    found, problems = stored.all_runs(str(tmp_path))
    assert [run.root for run in found] == [str(tmp_path / n) for n in ("b", "b", "a")]
    assert found[0].started < found[1].started and not problems
    assert stored.newest(str(tmp_path / "b")).started == other.started


def test_runs_of_several_folders_are_listed_once(full, other, tmp_path, mixer):
    write(tmp_path / "b", other, "1")
    write(tmp_path / "a", full, "1")
    folders = [str(tmp_path / name) for name in ("b", "a")]
    found, problems = stored.all_runs(*folders, str(tmp_path))
    assert [run.root for run in found] == folders[::-1] and not problems
    lines = mixer("runs", *folders).output.splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["1", "2"]
    with pytest.raises(ValueError, match="nothing does not exist"):
        stored.all_runs(*folders, str(tmp_path / "nothing"))


def test_a_training_is_listed_once_though_its_facts_are_collected_twice(tmp_path, monkeypatch):
    write_training(tmp_path / "train-pets")
    times = iter(range(10))
    monkeypatch.setattr(
        training_folder, "utc", lambda seconds=None: f"{next(times) if seconds is None else ''}"
    )
    (run,), problems = stored.all_runs(str(tmp_path / "train-pets"), str(tmp_path))
    assert run.root == str(tmp_path / "train-pets") and next(times) == 2 and not problems


@pytest.mark.parametrize("content", ["{}", "[]", '{"recipe": "digits"}', "no JSON"])
def test_a_training_json_of_another_program_is_named_and_the_others_are_shown(
    content, full, tmp_path, mixer
):
    write(tmp_path / "pets", full, "1")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "training.json").write_text(content)
    found, (problem,) = stored.all_runs(str(tmp_path))
    path = tmp_path / "foreign" / "training.json"
    assert len(found) == 1 and problem.startswith(f"{path} must be what `mixer train` writes; ")
    assert mixer("runs", tmp_path).exit_code == 0


def test_the_second_run_of_a_second_is_the_newer_one(full, other, tmp_path):
    write(tmp_path, full, "20261126-160229")
    write(tmp_path, other, "20261126-160229-2")
    assert stored.newest(str(tmp_path)).started == other.started


def test_a_root_that_was_moved_is_where_it_is_now(full, tmp_path):
    write(tmp_path / "old", full, "1")
    shutil.move(tmp_path / "old", tmp_path / "new")
    assert stored.newest(str(tmp_path / "new")).root == str(tmp_path / "new")


def test_a_record_that_cannot_be_read_is_named_and_the_others_are_shown(full, tmp_path, mixer):
    write(tmp_path / "r", full, "1")
    (tmp_path / "r" / "reports" / "2.json").write_text("{}")
    found, (problem,) = stored.all_runs(str(tmp_path / "r"))
    assert len(found) == 1 and "2.json" in problem
    result = mixer("runs", tmp_path)
    assert result.exit_code == 0 and "2.json" in result.output


def test_the_command_shows_runs_and_differences(full, other, tmp_path, mixer):
    for number, run in enumerate((full, other, other)):
        write(tmp_path / "pets", run, str(number))
    result = mixer("runs", tmp_path, "--last=2")
    assert "the newest 2 of 3 runs" in result.output
    assert "no difference in recipe, options, data and figures" in result.output
    lines = [line.split() for line in mixer("runs", tmp_path).output.splitlines()]
    assert ["recipe:", "training.epochs", "3", "4", "4"] in lines
    assert ["figures:", "test", "top-1", "0.8750", "0.9000", "0.9000"] in lines
    assert any(line[:4] == ["1", "pets/20261126-160229", "complete", "digits"] for line in lines)


def test_values_of_recipes_have_all_their_digits(full, tmp_path, mixer):
    for rate in ("3e-5", "1e-5"):
        recipe = recipes.get("digits").override([f"optimizer.learning_rate={rate}"])
        write(
            tmp_path / "pets",
            dataclasses.replace(full, recipe=recipe_changes.describe(recipe, 2)),
            rate,
        )
    lines = [line.split() for line in mixer("runs", tmp_path).output.splitlines()]
    assert ["recipe:", "optimizer.learning_rate", "1e-05", "3e-05"] in lines


def test_json_has_facts_and_differences(full, other, tmp_path, mixer):
    for number, run in enumerate((full, other)):
        write(tmp_path / "pets", run, str(number))
    found = json.loads(mixer("runs", tmp_path / "pets", "--json").output)
    assert [run["name"] for run in found["runs"]] == ["pets", "pets"]
    assert found["differences"]["data"] == {"images, train": [1203, 1201]}


def test_a_search_is_no_run_and_odd_names_are_no_error(full, tmp_path, mixer):
    (tmp_path / "search" / "trials").mkdir(parents=True)
    (tmp_path / "search" / "training.json").write_text("{}")
    result = mixer("report", tmp_path / "search")
    assert result.exit_code == 1 and "results.csv there lists its trials" in result.output
    (tmp_path / "odd[1]").mkdir()
    (tmp_path / "odd[1]" / "training.json").write_text("{}")
    write(tmp_path / "pets", full, "1")
    found, (problem,) = stored.all_runs(str(tmp_path))
    assert len(found) == 1 and "odd[1]" in problem


def test_a_folder_without_runs_is_one_clear_line(tmp_path, mixer):
    result = mixer("runs", tmp_path)
    assert result.exit_code == 1
    (line,) = result.output.strip().splitlines()
    assert line.startswith(
        "Error: ROOT must be the root of a pipeline or the output of mixer train"
    )
