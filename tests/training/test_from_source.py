# SPDX-License-Identifier: Apache-2.0
"""The folder of a training without TFX: which training owns it, and what survives interruptions.

Whole trainings run in tests/cli.
"""

import errno
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import types

import pytest

import mixer_tf
from mixer_tf import factory, recipes
from mixer_tf.datasets import examples
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.datasets.sources import opening
from mixer_tf.training import distribution, exporting, from_source, trainer
from mixer_tf.training.forecast import Forecast
from mixer_tf.training.from_source import prepare, train_source
from mixer_tf.training.input.split import open_splits
from mixer_tf.training.run_directory import RunDirectory

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
    add_logs_and_checkpoint(output)
    (images / "cat" / "000.png").unlink()
    with pytest.raises(ValueError, match=r"training with another state of the images\. Start"):
        prepare(open_source(images), RECIPE, output)


def test_another_recipe_is_an_error_that_names_the_fields_and_the_flag(images, output):
    prepare(open_source(images), RECIPE, output)
    add_logs_and_checkpoint(output)
    other = RECIPE.override(["training.seed=1", "model.patch_size=8"])
    with pytest.raises(ValueError, match="another recipe .* with --restart") as caught:
        prepare(open_source(images), other, output)
    before = json.loads(RECIPE.to_json())["model"]["patch_size"]
    fields = (
        f"(model.patch_size was {before}, now 8; training.seed was {RECIPE.training.seed}, now 1)"
    )
    assert fields in str(caught.value)


def test_many_different_fields_are_counted(images, output, tmp_path):
    prepare(open_source(images), RECIPE, output)
    add_logs_and_checkpoint(output)
    source = opening.open_source(f"folder:{shutil.copytree(images, tmp_path / 'moved')}")
    with pytest.raises(ValueError, match="with another source and .*recipe") as caught:
        prepare(source, recipes.get("photos"), output)
    text = str(caught.value)
    assert f"(source was folder:{images}, now folder:{tmp_path / 'moved'}; " in text
    assert text.count(" was ") == 5 and re.search(r"; and \d+ more\)\. Start", text)


OTHER = RECIPE.override(["training.seed=1"])


def files_below(path) -> list[str]:
    return sorted(str(file.relative_to(path)) for file in path.rglob("*") if file.is_file())


def add_logs_and_checkpoint(output):
    for folder in (output.logs, output.checkpoints):
        os.makedirs(folder)
        pathlib.Path(folder, "file").touch()


def test_shards_of_an_earlier_version_are_used_as_they_are(images, output):
    """They were four for each split; a resumed training reads the images in their order."""
    info = prepare(open_source(images), RECIPE, output)
    for split in info.examples:
        (path,) = examples.list_shards(output.data, split)
        records = [*examples.read_records(path)]
        os.remove(path)
        examples.write(records, output.data, split, 4)
    before = files_below(pathlib.Path(output.root))
    assert prepare(open_source(images), RECIPE, output) == info
    assert files_below(pathlib.Path(output.root)) == before
    assert len(open_splits(output.data, info)["train"].files) == 4


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


def test_a_training_without_a_completed_epoch_leaves_its_data_to_another_recipe(images, output):
    """Such as one whose weights could not be downloaded."""
    prepare(open_source(images), RECIPE, output)
    assert output.claim(open_source(images), OTHER)
    assert output.is_prepared(open_source(images), OTHER) and not output.is_prepared(
        open_source(images), RECIPE
    )
    (images / "cat" / "000.png").unlink()
    assert not output.claim(open_source(images), OTHER)
    assert not os.path.exists(output.data)


@pytest.mark.parametrize(
    "left", [".lock", "partial-training.json", "partial-" + "0af1" * 8 + "-training.json"]
)
def test_what_a_kill_before_the_claim_leaves_locks_nothing(images, output, left):
    os.makedirs(output.root)
    pathlib.Path(output.root, left).touch()
    prepare(open_source(images), RECIPE, output)
    assert output.is_prepared(open_source(images), RECIPE)


def test_only_one_training_at_a_time_uses_the_output(images, output):
    refused = []
    arguments = (open_source(images), RECIPE, output.root)
    with output.lock():
        thread = threading.Thread(target=lambda: refused.append(failure(train_source, *arguments)))
        thread.start()
        thread.join()
    assert "in use by another thread of this process" in refused[0]
    assert not os.path.exists(output.root)  # neither has begun


def failure(function, *arguments) -> str:
    with pytest.raises(ValueError) as caught:
        function(*arguments)
    return str(caught.value)


def test_of_several_workers_only_the_chief_holds_the_lock(output, monkeypatch):
    """They share the folder, and may run on one machine."""
    set_task(monkeypatch, {"worker": ["a:1", "b:1"]}, "worker", 1)
    with output.lock():
        assert not os.path.exists(output.root)


def test_a_worker_waits_for_the_data_of_its_own_recipe(images, output):
    """The chief may be about to remove those of another one."""
    prepare(open_source(images), RECIPE, output)
    assert output.is_prepared(open_source(images), RECIPE) and not output.is_prepared(
        open_source(images), OTHER
    )


def test_a_worker_waits_for_the_data_of_the_same_images(images, output):
    prepare(open_source(images), RECIPE, output)
    (images / "cat" / "000.png").unlink()
    assert not output.is_prepared(open_source(images), RECIPE)


def test_several_workers_do_not_restart(images, output, monkeypatch):
    """Of the others, one may still read what the chief removes."""
    set_task(monkeypatch, {"worker": ["a:1", "b:1"]}, "worker", 0)
    with pytest.raises(ValueError, match="--restart must be for one worker alone"):
        prepare(open_source(images), RECIPE, output, restart=True)


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


def test_a_file_is_not_an_output(tmp_path):
    (tmp_path / "file").write_text("mine")
    output = RunDirectory(str(tmp_path / "file"))
    with pytest.raises(ValueError, match="must be a folder; .*file is a file"), output.lock():
        pass
    assert (tmp_path / "file").read_text() == "mine"


def add_model(output):
    os.makedirs(output.model)
    pathlib.Path(output.model, "saved_model.pb").touch()


def test_a_training_that_was_killed_after_its_export_is_finished(images, output):
    """Between the rename of the model and the removal of the checkpoints."""
    source = open_source(images)
    prepare(source, RECIPE, output)
    assert not output.finish(source, RECIPE)
    add_logs_and_checkpoint(output)
    assert not output.finish(source, RECIPE)
    add_model(output)
    assert train_source(source, RECIPE, output.root, strategy="default") is None
    assert sorted(os.listdir(output.root)) == ["data", "logs", "serving", "training.json"]


def test_a_training_that_was_killed_before_its_last_files_is_finished(images, output):
    """After the removal of the checkpoints, and before the card of the model."""
    prepare(open_source(images), RECIPE, output)
    add_model(output)
    before = files_below(pathlib.Path(output.root))
    assert train_source(open_source(images), RECIPE, output.root, strategy="default") is None
    assert files_below(pathlib.Path(output.root)) == before
    with pytest.raises(ValueError, match="holds a finished model already"):
        train_source(open_source(images), OTHER, output.root, strategy="default")


def test_a_worker_does_not_wait_for_a_training_that_is_finished(images, output, monkeypatch):
    prepare(open_source(images), RECIPE, output)
    set_task(monkeypatch, {"worker": ["a:1", "b:1"]}, "worker", 1)
    assert not output.finish(open_source(images), RECIPE)
    add_model(output)
    assert output.finish(open_source(images), RECIPE)
    assert not output.finish(open_source(images), OTHER)


def test_a_finished_model_of_another_training_stays_an_error(images, output):
    prepare(open_source(images), RECIPE, output)
    add_logs_and_checkpoint(output)
    add_model(output)
    with pytest.raises(ValueError, match="holds a finished model already"):
        train_source(open_source(images), OTHER, output.root, strategy="default")
    assert os.path.exists(output.model)
    assert os.listdir(output.checkpoints) == ["file"]


def test_nothing_is_removed_from_the_folder_of_another_program(images, output):
    """One with models for TF Serving, and checkpoints of its own."""
    add_logs_and_checkpoint(output)
    add_model(output)
    before = files_below(pathlib.Path(output.root))
    with pytest.raises(ValueError, match="must be a new or empty folder"):
        train_source(open_source(images), RECIPE, output.root, strategy="default")
    assert files_below(pathlib.Path(output.root)) == before


def test_a_search_on_other_images_is_not_replaced(images, output):
    prepare(open_source(images), RECIPE, output)
    os.makedirs(os.path.join(output.root, "trials", "a"))
    prepare(open_source(images), OTHER, output)  # another grid on the same images
    before = files_below(pathlib.Path(output.root))
    (images / "cat" / "000.png").unlink()
    for restart in (False, True):
        with pytest.raises(ValueError, match="holds the trials of a search on other images"):
            prepare(open_source(images), RECIPE, output, restart=restart)
    assert files_below(pathlib.Path(output.root)) == before


def test_replaced_initial_weights_are_another_training(images, output, tmp_path):
    weights = tmp_path / "weights.npz"
    model = factory.from_recipe(RECIPE, 2)
    mixer_tf.save_npz(model, weights)
    recipe = RECIPE.override([f"model.weights={weights}"])
    prepare(open_source(images), recipe, output)
    add_logs_and_checkpoint(output)
    prepare(open_source(images), recipe, output)
    os.utime(weights, (1, 1))
    with pytest.raises(ValueError, match="training with another state of the initial weights"):
        prepare(open_source(images), recipe, output)


def test_restart_removes_a_partial_export(images, output):
    prepare(open_source(images), RECIPE, output)
    add_logs_and_checkpoint(output)
    partial = pathlib.Path(output.root, "serving", "partial-1")
    partial.mkdir(parents=True)
    prepare(open_source(images), OTHER, output, restart=True)
    assert not partial.exists()


_KILLED = """
import os, signal, sys
from mixer_tf import recipes, storage
from mixer_tf.datasets.sources import opening
from mixer_tf.training import from_source
from mixer_tf.training.run_directory import RunDirectory

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

source, root, where = opening.open_source(sys.argv[1]), sys.argv[2], sys.argv[3]
output = RunDirectory(root)
with output.lock():
    if where == "locked":
        die()
    module, name = {"claiming": (os, "replace"), "claimed": (storage, "make_folder")}[where]
    original, calls = getattr(module, name), []
    def replaced(*args, **kwargs):
        calls.append(args)
        if len(calls) == (1 if where == "claiming" else 2):
            die()
        return original(*args, **kwargs)
    setattr(module, name, replaced)
    from_source.prepare(source, recipes.get("digits"), output)
"""


@pytest.mark.parametrize("where", ["locked", "claiming", "claimed"])
def test_a_kill_before_the_first_image_locks_nothing(images, output, where):
    arguments = [f"folder:{images}", output.root, where]
    killed = subprocess.run([sys.executable, "-c", _KILLED, *arguments], capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert os.path.exists(output.root)
    prepare(open_source(images), OTHER, output)
    assert output.is_prepared(open_source(images), OTHER)


def test_a_disk_that_is_full_before_the_claim_locks_nothing(images, output, monkeypatch):
    def fail(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for function in ("replace", "makedirs"):
        with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
            patch.setattr(os, function, fail)
            train_source(open_source(images), RECIPE, output.root, strategy="default")
        assert not os.path.exists(output.root)
    prepare(open_source(images), OTHER, output)


def test_the_timing_has_the_cores_that_this_process_may_use(tmp_path, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {4, 5, 6})
    monkeypatch.setattr("tensorflow.config.list_physical_devices", lambda kind: [])
    fitted = types.SimpleNamespace(seconds=1.0, first_step=0, timing=Forecast(1.0, 0.1))
    output = RunDirectory(str(tmp_path))
    from_source._write_timing(fitted, distribution.create_strategy("default"), output)
    timing = json.loads(pathlib.Path(output.timing).read_text())
    assert (timing["device"], timing["cores"]) == ("CPU", 3)


def test_the_timing_is_written_before_the_checkpoints_are_removed(tmp_path, monkeypatch):
    """Afterwards, the training counts as complete, and nothing writes it again."""
    done = []
    fitted = types.SimpleNamespace(is_chief=True, model=None, recipe=None)
    fitted.discard_checkpoints = lambda: done.append("discard")
    monkeypatch.setattr(trainer, "fit", lambda *_, **__: fitted)
    monkeypatch.setattr("mixer_tf.training.input.split.open_splits", lambda *_: {"train": None})
    monkeypatch.setattr(
        exporting.saved_model, "export_saved_model", lambda *_: done.append("export")
    )
    monkeypatch.setattr(from_source, "_write_timing", lambda *_: done.append("timing"))
    info = DatasetInfo("folder:/x", ("a",), {"train": {"a": 1}})
    from_source.train_prepared(info, RECIPE, RunDirectory(str(tmp_path)), strategy=None)
    assert done == ["export", "timing", "discard"]
