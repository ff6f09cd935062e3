# SPDX-License-Identifier: Apache-2.0
"""The folder of a training without TFX: whose it is, and what an interruption leaves of it.

Whole trainings run in tests/cli.
"""

import json
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


def test_images_that_changed_meanwhile_are_noticed(images, output):
    prepare(open_source(images), RECIPE, output)
    (images / "cat" / "000.png").unlink()
    with pytest.raises(ValueError, match="unfinished training with another state of the images"):
        prepare(open_source(images), RECIPE, output)


def test_another_recipe_is_noticed(images, output):
    prepare(open_source(images), RECIPE, output)
    with pytest.raises(ValueError, match=r"another recipe\. Start that one again"):
        prepare(open_source(images), RECIPE.override(["training.seed=1"]), output)


def test_of_several_workers_the_first_writes_and_the_others_wait(images, output, monkeypatch):
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
