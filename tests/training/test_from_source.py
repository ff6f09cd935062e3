# SPDX-License-Identifier: Apache-2.0
"""The folder of a training without TFX: which training owns it, and what survives interruptions.

Whole trainings run in tests/cli.
"""

import json
import os
import pathlib
import shutil
import threading

import pytest

from mixer_tf import recipes
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.datasets.sources import opening
from mixer_tf.training.from_source import RunDirectory, prepare

RECIPE = recipes.get("digits")


@pytest.fixture
def images(image_folder, tmp_path):
    return shutil.copytree(image_folder, tmp_path / "images")


@pytest.fixture
def output(tmp_path) -> RunDirectory:
    return RunDirectory(str(tmp_path / "output"))


def open_source(images):
    return opening.open_source(f"folder:{images}")


def test_images_are_written_once(images, output):
    counted = []
    first = prepare(open_source(images), RECIPE, output, counted.append)
    assert counted and sum(first.examples.values()) == 40
    counted.clear()
    assert prepare(open_source(images), RECIPE, output, counted.append) == first
    assert not counted
    assert output.count_quarantined() == 0


def test_an_interrupted_preparation_starts_again(images, output, tmp_path):
    expected = prepare(open_source(images), RECIPE, output)
    (tmp_path / "output" / "data" / "dataset.json").unlink()
    assert prepare(open_source(images), RECIPE, output) == expected


def test_changed_images_are_an_error(images, output):
    prepare(open_source(images), RECIPE, output)
    (images / "cat" / "000.png").unlink()
    with pytest.raises(ValueError, match="unfinished training with another state of the images"):
        prepare(open_source(images), RECIPE, output)


def test_another_recipe_is_an_error_that_names_the_flag(images, output):
    prepare(open_source(images), RECIPE, output)
    with pytest.raises(ValueError, match=r"another recipe\. Start that one again.* with --restart"):
        prepare(open_source(images), RECIPE.override(["training.seed=1"]), output)


OTHER = RECIPE.override(["training.seed=1"])


def files_below(path) -> list[str]:
    return sorted(str(file.relative_to(path)) for file in path.rglob("*") if file.is_file())


def add_logs_and_checkpoint(output):
    for folder in (output.logs, output.checkpoints):
        os.makedirs(folder)
        pathlib.Path(folder, "file").touch()


@pytest.mark.parametrize("recipe", [RECIPE, OTHER], ids=["same recipe", "other recipe"])
def test_restart_removes_an_unfinished_training(images, output, tmp_path, recipe):
    prepare(open_source(images), RECIPE, output)
    add_logs_and_checkpoint(output)
    (images / "cat" / "000.png").unlink()
    info = prepare(open_source(images), recipe, output, restart=True)
    assert sum(info.examples.values()) == 39
    assert sorted(os.listdir(output.root)) == ["data", "training.json"]
    assert prepare(open_source(images), recipe, output) == info


def test_a_finished_model_is_never_removed(images, output):
    prepare(open_source(images), RECIPE, output)
    os.makedirs(output.model)
    pathlib.Path(output.model, "saved_model.pb").touch()
    before = files_below(pathlib.Path(output.root))
    for recipe in (RECIPE, OTHER):
        with pytest.raises(ValueError, match="holds a finished model already"):
            prepare(open_source(images), recipe, output, restart=True)
    assert files_below(pathlib.Path(output.root)) == before


def test_other_files_are_never_removed(images, output):
    os.makedirs(output.root)
    pathlib.Path(output.root, "thesis.tex").touch()
    with pytest.raises(ValueError, match="must be a new or empty folder"):
        prepare(open_source(images), RECIPE, output, restart=True)
    assert os.listdir(output.root) == ["thesis.tex"]


def test_a_training_without_data_locks_nothing(images, output):
    """Such as one whose recipe was wrong, or which was stopped while it read the images."""
    assert not output.claim(open_source(images), RECIPE)
    os.makedirs(output.data)
    pathlib.Path(output.data, "partial-data").touch()
    assert not output.claim(open_source(images), OTHER)
    assert sorted(os.listdir(output.root)) == ["training.json"]
    prepare(open_source(images), OTHER, output)
    assert output.claim(open_source(images), OTHER)
    with pytest.raises(ValueError, match="another recipe"):
        output.claim(open_source(images), RECIPE)


def test_a_worker_waits_for_the_data_of_its_own_recipe(images, output):
    """The chief may be about to remove those of another one."""
    prepare(open_source(images), RECIPE, output)
    assert output.is_prepared(RECIPE) and not output.is_prepared(OTHER)


def test_of_several_workers_the_chief_writes_and_the_others_wait(images, output, monkeypatch):
    cluster = {"worker": ["a:1", "b:1"]}
    set_task(monkeypatch, cluster, "worker", 1)
    found: list[DatasetInfo] = []
    waiting = threading.Thread(
        target=lambda: found.append(prepare(open_source(images), RECIPE, output)), daemon=True
    )
    waiting.start()
    waiting.join(0.5)
    assert waiting.is_alive()
    set_task(monkeypatch, cluster, "worker", 0)
    info = prepare(open_source(images), RECIPE, output)
    waiting.join(30)
    assert found == [info]


def set_task(monkeypatch, cluster: dict, kind: str, index: int) -> None:
    config = {"cluster": cluster, "task": {"type": kind, "index": index}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
