# SPDX-License-Identifier: Apache-2.0
"""The commands of a training's report name its files: images left out, recipe, prepared data."""

import dataclasses
import itertools
import os
import shlex

import harness

from mixer_tf.datasets import examples
from mixer_tf.datasets.excluded_images import exclude_listed
from mixer_tf.datasets.sources.opening import open_source
from mixer_tf.reports import training_folder
from mixer_tf.serving.locations import MODEL_FILE
from mixer_tf.training import from_source
from mixer_tf.training.run_directory import RunDirectory


def option_of_command(folder: RunDirectory, name: str = "exclude", title: str = "train again"):
    """The value of an option of a command; None without it."""
    command = next(c for c in training_folder.read(folder.root).commands if c.title == title)
    values = [w.partition("=")[2] for w in shlex.split(command.text) if w.startswith(f"--{name}=")]
    return values[0] if values else None


def test_the_command_leaves_the_same_images_out(image_folder, tmp_path):
    spec, recipe = f"folder:{image_folder}", harness.tiny_recipe()
    listed = tmp_path / "removed.txt"
    listed.write_text(f"cat/003.png\n{image_folder}/dog/007.png\nno such image\n")
    source = exclude_listed(open_source(spec), str(listed))
    folder = RunDirectory(str(tmp_path / "run with spaces"))
    from_source.prepare(source, recipe, folder)
    listed.unlink()

    stored = option_of_command(folder)
    assert stored == str(tmp_path / "run with spaces" / "data" / "excluded.txt")
    again = exclude_listed(open_source(spec), stored)
    assert again.fingerprint() == source.fingerprint()
    assert again.notes == ("images excluded by --exclude: 2",)
    shards = [path for split in source.splits for path in examples.list_shards(folder.data, split)]
    records = itertools.chain.from_iterable(map(examples.read_records, shards))
    kept = {os.path.relpath(record.source, image_folder) for record in records}
    everything = {f"{name}/{index:03d}.png" for name in ("cat", "dog") for index in range(20)}
    assert everything - kept == {"cat/003.png", "dog/007.png"}

    os.remove(stored)  # as in the folder of an older version
    assert option_of_command(folder) == "FILE"
    from_source.prepare(source, recipe, folder)  # the data are complete
    assert option_of_command(folder) == stored

    from_source.prepare(open_source(spec), recipe, folder, restart=True)
    assert option_of_command(folder) is None


def test_a_recipe_without_a_name_is_that_of_the_model(image_folder, tmp_path, monkeypatch):
    recipe = dataclasses.replace(harness.tiny_recipe(), name="mine")
    monkeypatch.chdir(tmp_path)
    folder = RunDirectory("run")
    folder.claim(open_source(f"folder:{image_folder}"), recipe)
    assert option_of_command(folder, "recipe") == "FILE"
    os.makedirs(folder.model)
    (tmp_path / folder.model / MODEL_FILE).touch()
    path = f"{tmp_path}/run/serving/1/assets.extra/recipe.json"
    assert option_of_command(folder, "recipe") == path


def test_the_folder_of_prepared_datasets_is_named_and_identifies_no_training(
    image_folder, tmp_path
):
    source, recipe = open_source(f"folder:{image_folder}"), harness.tiny_recipe()
    folder = RunDirectory(str(tmp_path / "run"))
    folder.claim(dataclasses.replace(source, data_dir="my tfds"), recipe)
    for title in ("train again", "evaluate on the test split"):
        assert option_of_command(folder, "data-dir", title) == "my tfds"
    state = folder.read_state()
    folder.claim(source, recipe, restart=True)
    assert option_of_command(folder, "data-dir") is None and folder.read_state() == state
