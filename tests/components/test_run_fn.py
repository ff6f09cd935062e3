# SPDX-License-Identifier: Apache-2.0
import os
import re

import numpy as np
import pytest
import tensorflow as tf

from components.trainer import finished_trainings, run_fn
from mixer_tf import factory, recipes
from mixer_tf.export import saved_model
from mixer_tf.export.loading import open_export
from mixer_tf.training import checkpoint_options

fn_args_utils = pytest.importorskip(
    "tfx.components.trainer.fn_args_utils", reason="the extra `pipeline` is not installed"
)


@pytest.fixture
def fn_args(dataset, recipe, tmp_path):
    """As TFX fills them in: the files are patterns."""
    return fn_args_utils.FnArgs(
        train_files=[os.path.join(dataset.folder, "Split-train", "*")],
        eval_files=[os.path.join(dataset.folder, "Split-eval", "*")],
        serving_model_dir=str(tmp_path / "model" / "Format-Serving"),
        model_run_dir=str(tmp_path / "run"),
        custom_config={
            "recipe": recipe.to_json(),
            "strategy": "default",
            "checkpoint_dir": str(tmp_path / "checkpoints"),
            "fingerprint": "abc",
        },
    )


@pytest.mark.slow
def test_it_trains_exports_and_logs_where_tfx_says(fn_args, tmp_path):
    fn_args.custom_config["checkpoints"] = {"steps": 2, "keep": 3}
    run_fn.run_fn(fn_args)
    signatures = tf.saved_model.load(fn_args.serving_model_dir).signatures
    assert set(signatures) == {"serving_default", "pixels", "features", "examples"}
    (run,) = os.listdir(tmp_path / "run")
    assert re.fullmatch(r"digits-\d{8}-\d{6}", run)
    assert [*(tmp_path / "run" / run).glob("events.out.tfevents.*")]
    (checkpoints,) = (tmp_path / "checkpoints").iterdir()
    assert len(list(checkpoints.glob("step-*"))) == 1


def test_when_to_save_comes_from_the_environment(fn_args, monkeypatch):
    options = checkpoint_options.CheckpointOptions
    given = options(minutes=0.5, steps=7, keep=3)
    assert options.from_environment() == options() and options().environment() == {}
    for name, value in given.environment().items():
        monkeypatch.setenv(name, value)
    assert options.from_environment() == given
    assert options.from_environment(minutes=7, steps=None) == options(minutes=7, keep=3)
    monkeypatch.setenv(checkpoint_options.MINUTES_VARIABLE, "often")
    with pytest.raises(ValueError, match="MIXER_TF_CHECKPOINT_MINUTES must be a number of min"):
        run_fn.run_fn(fn_args)
    monkeypatch.setenv(checkpoint_options.MINUTES_VARIABLE, "5")
    monkeypatch.setenv(checkpoint_options.KEEP_VARIABLE, "2.5")
    with pytest.raises(ValueError, match="KEEP_CHECKPOINTS must be a number of checkpoints; got '"):
        run_fn.run_fn(fn_args)


@pytest.mark.slow
def test_all_trainings_of_a_pipeline_log_side_by_side(fn_args, tmp_path, monkeypatch):
    """A training that fails keeps its run when it resumes; the next one gets another."""
    fn_args.custom_config["log_dir"] = str(tmp_path / "logs")
    export = run_fn.export_fitted
    monkeypatch.setattr(run_fn, "export_fitted", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run_fn.run_fn(fn_args)
    monkeypatch.setattr(run_fn, "export_fitted", export)
    runs = []
    for _ in range(2):
        run_fn.run_fn(fn_args)
        runs.append(os.listdir(tmp_path / "logs"))
        finished_trainings.remove(str(tmp_path / "checkpoints"))  # the model is published
    assert [len(names) for names in runs] == [1, 2]
    named = (tmp_path / "run" / "logs.txt").read_text().strip()
    assert os.path.basename(named) in {*runs[1]} - {*runs[0]} and os.path.isdir(named)
    assert os.listdir(tmp_path / "run") == ["logs.txt"]


def test_the_key_changes_with_recipe_code_and_data(fn_args, dataset):
    config, files = fn_args.custom_config, dataset.files("train")
    keys = {
        run_fn.checkpoint_key(config, files),
        run_fn.checkpoint_key({**config, "recipe": "{}"}, files),
        run_fn.checkpoint_key({**config, "fingerprint": "abd"}, files),
        run_fn.checkpoint_key(config, files[1:]),
    }
    assert len(keys) == 4


def test_hyperparameters_of_a_tuner_are_trained_with_checkpoints_of_their_own(
    fn_args, recipe, monkeypatch
):
    folders, trained = [], []

    def fit(given, *_, checkpoint_dir, **__):
        trained.append(given)
        folders.append(checkpoint_dir)
        raise InterruptedError

    monkeypatch.setattr(run_fn.trainer, "fit", fit)
    for rate in (0.1, 0.1, 0.2):
        fn_args.hyperparameters = {"values": {"optimizer.learning_rate": rate}}
        with pytest.raises(InterruptedError):
            run_fn.run_fn(fn_args)
    assert trained[-1] == recipe.override(["optimizer.learning_rate=0.2"])
    assert folders[0] == folders[1] != folders[2]


def test_hyperparameters_of_another_tuner_are_refused(fn_args):
    fn_args.hyperparameters = {"space": [], "values": {"learning_rate": 0.007}}
    with pytest.raises(ValueError) as error:
        run_fn.run_fn(fn_args)
    assert "hyperparameters must be fields of the recipe" in str(error.value)
    assert "Did you mean optimizer.learning_rate?" in str(error.value)


@pytest.mark.slow
def test_a_warm_start_continues_from_the_weights_of_the_base_model(fn_args, tmp_path, recipe):
    run_fn.run_fn(fn_args)
    base = fn_args.serving_model_dir
    fn_args.base_model = base
    fn_args.serving_model_dir = str(tmp_path / "second" / "Format-Serving")
    slow = recipe.override(["optimizer.learning_rate=1e-12", "optimizer.weight_decay=0"])
    fn_args.custom_config["recipe"] = slow.to_json()
    run_fn.run_fn(fn_args)
    first, second = (open_export(path).model for path in (base, fn_args.serving_model_dir))
    for before, after in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_allclose(after, before, atol=1e-6)


def test_a_warm_start_needs_the_same_classes_and_the_same_model(fn_args, recipe, tmp_path):
    model = factory.from_recipe(recipe, 2)
    path = str(tmp_path / "other")
    saved_model.export_saved_model(model, recipe, ("red", "blue"), path)
    fn_args.base_model = path
    other = recipe.override(["model.hidden_dim=16"])
    fn_args.custom_config["recipe"] = other.to_json()
    with pytest.raises(ValueError) as error:
        run_fn.run_fn(fn_args)
    text = str(error.value)
    assert "it has 2 classes ('red', 'blue'), the data have 3 classes ('red', 'green'" in text
    assert "its hidden_dim is 8, the recipe's 16" in text and "Leave out --warm-start" in text
    fn_args.custom_config["recipe"] = recipes.get("photos").to_json()
    with pytest.raises(ValueError, match=r"its image_size is \(16, 16\), the recipe's \(64, 64\)"):
        run_fn.run_fn(fn_args)
    vit = recipes.get("photos").override(["model.name=vit_s16"])
    fn_args.custom_config["recipe"] = vit.to_json()
    with pytest.raises(ValueError, match="it is mixer, the recipe has vit_s16"):
        run_fn.run_fn(fn_args)


def test_the_key_changes_with_the_base_model(fn_args, dataset, tmp_path):
    config, files = fn_args.custom_config, dataset.files("train")
    keys = {run_fn.checkpoint_key(config, files)}
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "saved_model.pb").write_text(name)
        keys.add(run_fn.checkpoint_key(config, files, str(tmp_path / name)))
    assert len(keys) == 3


def test_the_key_does_not_depend_on_where_the_model_goes(fn_args, dataset):
    config, files = fn_args.custom_config, dataset.files("train")
    moved = {**config, "checkpoint_dir": "/elsewhere", "strategy": "mirrored"}
    assert run_fn.checkpoint_key(config, files) == run_fn.checkpoint_key(moved, files)
