# SPDX-License-Identifier: Apache-2.0
import os

import pytest
import tensorflow as tf

from components.trainer import run_fn

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


def test_it_trains_exports_and_logs_where_tfx_says(fn_args, tmp_path):
    run_fn.run_fn(fn_args)
    signatures = tf.saved_model.load(fn_args.serving_model_dir).signatures
    assert set(signatures) == {"serving_default", "pixels", "features", "examples"}
    assert os.listdir(tmp_path / "run" / "train")
    assert os.listdir(tmp_path / "checkpoints") == []


def test_the_key_changes_with_recipe_code_and_data(fn_args, dataset):
    config, files = fn_args.custom_config, dataset.files("train")
    keys = {
        run_fn.checkpoint_key(config, files),
        run_fn.checkpoint_key({**config, "recipe": "{}"}, files),
        run_fn.checkpoint_key({**config, "fingerprint": "abd"}, files),
        run_fn.checkpoint_key(config, files[1:]),
    }
    assert len(keys) == 4


def test_the_key_does_not_depend_on_where_the_model_goes(fn_args, dataset):
    config, files = fn_args.custom_config, dataset.files("train")
    moved = {**config, "checkpoint_dir": "/elsewhere", "strategy": "mirrored"}
    assert run_fn.checkpoint_key(config, files) == run_fn.checkpoint_key(moved, files)
