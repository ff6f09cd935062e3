# SPDX-License-Identifier: Apache-2.0
"""A run on a dataset with the features of DTD: which images, which trainings, resumed, refused."""

import csv
import json

import harness
import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner

from mixer_tf import factory
from mixer_tf.cli import main
from mixer_tf.evaluation.vtab import reading, running, tasks
from mixer_tf.export import saved_model
from mixer_tf.images.preprocessing import decode_and_crop
from mixer_tf.training import trainer

OPTIONS = ["--tasks=dtd,pets", "--seeds=0,1", "--learning-rates=0.001,0.1", "--steps=6"]
OPTIONS += ["--set", "training.batch_size=16"]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory, build):
    """1,010 training images, 250 for validation and 21 for test, of three colors."""
    folder = tmp_path_factory.mktemp("tfds")

    def images(count: int, seed: int) -> list[dict]:
        rng = np.random.default_rng(seed)
        found = []
        for index in range(count):
            pixels = rng.integers(0, 100, (8, 8, 3)).astype(np.uint8)
            pixels[..., index % 3] += 120
            found.append({"image": pixels, "label": index % 3})
        return found

    counts = {"train": 1010, "validation": 250, "test": 21}
    build("dtd", folder, {name: images(n, seed) for seed, (name, n) in enumerate(counts.items())})
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("model") / "1")
    recipe = harness.tiny_recipe()
    keras_model = harness.randomize(factory.from_recipe(recipe, 3))
    saved_model.export_saved_model(keras_model, recipe, ("a", "b", "c"), path)
    return path


@pytest.fixture
def fits(monkeypatch):
    """Collects (recipe, number of training images, weights) of every training."""
    found, fit = [], trainer.fit

    def record(recipe, train, *args, **options):
        fitted = fit(recipe, train, *args, **options)
        found.append((recipe, train.num_examples, fitted.model.get_weights()))
        return fitted

    monkeypatch.setattr(trainer, "fit", record)
    return found


def vtab(model, data_dir, output, *options):
    arguments = ["vtab", model, f"--data-dir={data_dir}", f"--output={output}", *options]
    return CliRunner().invoke(main, arguments)


@pytest.mark.slow
def test_a_run_selects_trains_again_and_tests_once_and_resumes(model, data_dir, tmp_path, fits):
    output = tmp_path / "vtab"
    result = vtab(model, data_dir, output, *OPTIONS, "--json")
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    (dtd,) = report["results"]
    assert [size for _, size, _ in fits] == [800, 800, 1000, 1000]
    rates = [recipe.optimizer.learning_rate for recipe, _, _ in fits]
    chosen = dtd["chosen"]["learning_rate"]
    assert rates == [0.001, 0.1, chosen, chosen]
    assert [recipe.training.seed for recipe, _, _ in fits] == [0, 0, 0, 1]
    best = max(dtd["selection"], key=lambda trial: trial["accuracy"])
    assert chosen == best["learning_rate"]
    assert [trial["images"] for trial in dtd["selection"]] == [200, 200]
    assert dtd["test_images"] == 21
    assert ["the warmup is 1 steps long" in note for note in dtd["notes"]] == [True]

    reader = reading.open_task(tasks.find(["dtd"])[0], str(data_dir))
    records = list(reader.read("test"))
    pixels = [decode_and_crop(tf.constant(r.encoded), "resize_crop", 16) for r in records]
    for (recipe, _, weights), accuracy in zip(fits[2:], dtd["accuracies"], strict=True):
        network = factory.for_export(recipe, 47)
        network.set_weights(weights)
        answers = network.predict(tf.stack(pixels), verbose=0).argmax(1)
        assert accuracy == pytest.approx(np.mean(answers == [r.label for r in records]))
    assert report["missing"].keys() == {"pets"}
    assert "--data-dir" in report["missing"]["pets"]
    assert [mean["title"] for mean in report["means"]] == ["natural", "mean of 1 task"]

    with open(output / "dtd" / "images.csv") as file:
        rows = list(csv.DictReader(file))
    prefix = "dtd-{}.tfrecord-00000-of-00001__{}"
    assert [row["image"] for row in rows] == [
        *(prefix.format("train", index) for index in range(800)),
        *(prefix.format("validation", index) for index in range(200)),
    ]
    assert [int(row["label"]) for row in rows[:800]] == [index % 3 for index in range(800)]
    assert sorted(path.name for path in (output / "dtd").iterdir()) == [
        *("final", "images.csv", "result.json", "selection"),
    ]

    fits.clear()
    again = vtab(model, data_dir, output, *OPTIONS)
    assert again.exit_code == 0 and fits == []
    assert "mean of 1 task" in again.stdout and "the mean is not VTAB-1k" in again.stdout
    (output / "dtd" / "result.json").unlink()
    (output / "dtd" / "final" / "seed=1.json").unlink()
    resumed = vtab(model, data_dir, output, *OPTIONS, "--json")
    assert [size for _, size, _ in fits] == [1000]
    assert json.loads(resumed.stdout)["results"] == report["results"]

    other = vtab(model, data_dir, output, *OPTIONS, "--seeds=0")
    assert other.exit_code == 1 and "it holds one with another seeds" in other.stderr


def test_what_cannot_be_run_is_refused_before_anything_is_written(tmp_path, build):
    model, data_dir = "mixer_b16_imagenet21k", tmp_path / "tfds"
    build("dtd", data_dir, {"train": [{"label": 0}] * 3})
    output = tmp_path / "vtab"
    for options, message in (
        (["--tasks=dtdd"], "Did you mean dtd"),
        (["--set", "training.batch_sise=3"], "batch_size"),
        (["--protocol=bit-hyperrule", "--steps=3"], "must not be given with --protocol"),
        (["--strategy=multi_worker"], "must run on one machine"),
        (["--learning-rates=0"], "--learning-rates must be more than 0; got 0"),
        (["--tasks=pets,svhn"], "at least one task must have prepared data; none of 2 has"),
    ):
        result = vtab(model, data_dir, output, *options)
        assert result.exit_code != 0 and message in " ".join(result.stderr.split())
        assert not output.exists()
    output.mkdir()
    (output / "a.txt").write_text("mine")
    result = vtab(model, data_dir, output, *OPTIONS)
    assert result.exit_code == 1 and "holds other files" in result.stderr


def test_a_dataset_without_the_images_of_the_benchmark_is_refused(tmp_path, build):
    build("dtd", tmp_path, {name: [{"label": 0}] * 9 for name in ("train", "validation", "test")})
    reader = reading.open_task(tasks.find(["dtd"])[0], str(tmp_path))
    run = running.TaskRun(reader, None, str(tmp_path / "run"))
    with pytest.raises(ValueError, match=r"must have the images train\[:800\]"):
        run.run()


def test_help_has_an_example():
    result = CliRunner().invoke(main, ["vtab", "--help"])
    assert (
        result.exit_code == 0 and "mixer vtab pets-model --protocol=bit-hyperrule" in result.output
    )
