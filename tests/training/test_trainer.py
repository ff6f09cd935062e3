# SPDX-License-Identifier: Apache-2.0
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.training import checkpointing, exporting, trainer
from mixer_tf.training.callbacks import TrainingDivergedError
from mixer_tf.training.input import batches
from mixer_tf.training.input.split import Split, open_files, open_splits


def train(recipe, dataset, folder, eval_files=None, dataset_info=None, **changes):
    """Trains on the tiny dataset and exports, with all files below `folder`."""
    splits = open_tiny(dataset, eval_files, dataset_info)
    arguments = {
        "checkpoint_dir": os.path.join(folder, "checkpoints"),
        "log_dir": os.path.join(folder, "logs"),
        "strategy": "default",
        "verbose": False,
        **changes,
    }
    fitted = trainer.fit(recipe, splits["train"], splits.get("eval"), **arguments)
    exporting.export_fitted(fitted, dataset.info.class_names, os.path.join(folder, "model"))
    return fitted


def open_tiny(dataset, eval_files=None, dataset_info=None):
    eval_files = dataset.files("eval") if eval_files is None else eval_files
    files = {"train": dataset.files("train"), "eval": eval_files}
    return open_files(files, dataset_info or dataset.info)


def scalars(folder):
    """Tag → values in order, of the TensorBoard files of a folder."""
    values = {}
    for path in sorted(tf.io.gfile.glob(os.path.join(folder, "events*"))):
        for event in tf.compat.v1.train.summary_iterator(path):
            for value in event.summary.value:
                if value.metadata.plugin_data.plugin_name != "scalars":
                    continue
                values.setdefault(value.tag, []).append(float(tf.make_ndarray(value.tensor)))
    return values


@pytest.fixture(scope="module")
def long_recipe(recipe):
    """Long enough to learn the three colors."""
    return recipe.override(
        ["training.epochs=8", "optimizer.ema=0.8", "optimizer.warmup_steps=4", "data.flip=true"]
    )


@pytest.fixture(scope="module")
def trained(long_recipe, dataset, tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("trained"))
    return train(long_recipe, dataset, folder), folder


def test_it_learns(trained):
    result, _ = trained
    assert result.accuracy > 0.9
    assert result.first_epoch == 1 and 1 <= result.epoch <= 8 and result.notes == ()


def test_the_result_has_the_weights_whose_accuracy_it_states(trained, long_recipe, dataset):
    result, _ = trained
    split = Split(tuple(dataset.files("eval")), 13, 3)
    data = batches.evaluation_batches(split, long_recipe)
    accuracy = result.model.evaluate(data, verbose=0, return_dict=True)["accuracy"]
    assert accuracy == pytest.approx(result.accuracy)


def test_tensorboard_has_the_scalars_of_every_epoch(trained):
    _, folder = trained
    logged = scalars(os.path.join(folder, "logs"))
    train = {"loss", "top_1", "gradient_norm", "learning_rate", "images_per_second", "input_wait"}
    evaluation = {"eval/loss", "eval/top_1", "weights/norm"}
    assert set(logged) == {*evaluation, *(f"train/{name}" for name in train)}
    assert all(len(values) == 8 for values in logged.values())
    rates = logged["train/learning_rate"]
    assert rates[0] == pytest.approx(0.01 * 3 / 4) and rates[1] == max(rates) > rates[-1]
    assert max(logged["eval/top_1"]) == pytest.approx(trained[0].accuracy)
    assert all(0 <= share <= 1 for share in logged["train/input_wait"])


def test_nothing_but_the_model_and_the_logs_is_left(trained):
    _, folder = trained
    assert sorted(os.listdir(folder)) == ["logs", "model"]


_KILLED = """
import os, pickle, signal, sys
from mixer_tf.training import callbacks, checkpointing, trainer

checkpointing.SAVE_SECONDS = 0
check = callbacks.TerminateOnDivergence.on_train_batch_end

def die_in_epoch_4(self, batch, logs=None):
    check(self, batch, logs)
    if self.model.optimizer.iterations.numpy() == 3 * 4 + 1:
        os.kill(os.getpid(), signal.SIGKILL)

callbacks.TerminateOnDivergence.on_train_batch_end = die_in_epoch_4
recipe, splits, arguments = pickle.load(sys.stdin.buffer)
trainer.fit(recipe, splits["train"], splits["eval"], **arguments)
"""


@pytest.mark.slow
def test_a_killed_training_resumes_and_ends_with_the_same_model(
    trained, long_recipe, dataset, tmp_path
):
    folder = str(tmp_path)
    arguments = {
        "checkpoint_dir": os.path.join(folder, "checkpoints"),
        "strategy": "default",
        "verbose": False,
    }
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED],
        input=pickle.dumps((long_recipe, open_tiny(dataset), arguments)),
        cwd=os.getcwd(),
        capture_output=True,
    )
    assert killed.returncode == -9, killed.stderr.decode()
    assert os.listdir(folder) == ["checkpoints"]

    result = train(long_recipe, dataset, folder)
    assert result.first_epoch == 4
    assert (result.accuracy, result.epoch) == (trained[0].accuracy, trained[0].epoch)
    assert weights_are_equal(result.model, trained[0].model)


@pytest.mark.slow
def test_killed_during_the_export_it_only_exports(recipe, dataset, tmp_path, monkeypatch):
    """Without images to evaluate on, so that the weights are those of the last epoch."""

    def fail(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpointing, "SAVE_SECONDS", 0)
        patch.setattr(exporting.saved_model, "export_saved_model", fail)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, dataset, str(tmp_path), eval_files=[])
    result = train(recipe, dataset, str(tmp_path), eval_files=[])
    assert result.first_epoch == 3 and result.epoch == 2 and result.accuracy is None
    assert (tmp_path / "model" / "saved_model.pb").exists()


@pytest.mark.slow
def test_killed_while_the_checkpoints_are_removed_it_trains_again(
    recipe, dataset, tmp_path, monkeypatch
):
    """A part of a checkpoint must not be resumed from; TFX may not have the model yet."""

    remove = checkpointing.storage.remove_folder

    def fail(path):
        if path.endswith("checkpoints"):
            raise KeyboardInterrupt
        remove(path)

    with monkeypatch.context() as patch:
        patch.setattr(checkpointing, "SAVE_SECONDS", 0)
        patch.setattr(checkpointing.storage, "remove_folder", fail)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, dataset, str(tmp_path))
    for best in (tmp_path / "checkpoints").glob("best-*.npz"):
        best.unlink()
    result = train(recipe, dataset, str(tmp_path))
    assert result.first_epoch == 1 and sorted(os.listdir(tmp_path)) == ["logs", "model"]


def weights_are_equal(model, other) -> bool:
    pairs = zip(model.get_weights(), other.get_weights(), strict=True)
    return all(np.array_equal(weight, same) for weight, same in pairs)


def test_without_folders_nothing_is_written(trained, long_recipe, dataset, tmp_path, monkeypatch):
    """And the result is that of a training with checkpoints."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    splits = open_tiny(dataset)
    fitted = trainer.fit(long_recipe, splits["train"], splits["eval"], verbose=False)
    fitted.discard_checkpoints()
    assert os.listdir(tmp_path) == []
    assert (fitted.epoch, fitted.accuracy) == (trained[0].epoch, trained[0].accuracy)
    assert weights_are_equal(fitted.model, trained[0].model)


def test_the_history_has_the_logs_of_every_epoch(trained):
    result, folder = trained
    assert len(result.history) == 8
    logged = scalars(os.path.join(folder, "logs"))["eval/top_1"]
    assert [logs["val_accuracy"] for logs in result.history] == pytest.approx(logged)
    assert max(logged) == pytest.approx(result.accuracy)
    assert {"loss", "learning_rate", "val_loss"} <= set(result.history[0])


def test_any_split_can_be_the_evaluation_and_own_callbacks_see_what_others_add(recipe, dataset):
    splits, seen = open_splits(dataset.folder, dataset.info), []
    callback = tf.keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(logs))
    fitted = trainer.fit(
        recipe, splits["eval"], splits["test"], callbacks=[callback], verbose=False
    )
    assert len(seen) == 2 and all("learning_rate" in logs for logs in seen)
    data = batches.evaluation_batches(splits["test"], recipe)
    found = fitted.model.evaluate(data, verbose=0, return_dict=True)["accuracy"]
    assert fitted.accuracy == pytest.approx(found)


def test_a_warm_start_begins_with_the_given_weights(trained, long_recipe, dataset):
    """Also its moving average does."""
    splits = open_tiny(dataset)
    still = long_recipe.override(["training.epochs=1", "optimizer.learning_rate=1e-12"])
    fitted = trainer.fit(
        still.override(["optimizer.weight_decay=0"]),
        splits["train"],
        splits["eval"],
        initial_weights=trained[0].model.get_weights(),
        verbose=False,
    )
    assert fitted.accuracy == pytest.approx(trained[0].accuracy)
    for weight, initial in zip(
        fitted.model.get_weights(), trained[0].model.get_weights(), strict=True
    ):
        np.testing.assert_allclose(weight, initial, atol=1e-6)


def test_a_checkpoint_takes_precedence_over_the_initial_weights(
    recipe, dataset, tmp_path, monkeypatch
):
    monkeypatch.setattr(checkpointing, "SAVE_SECONDS", 0)
    train_split = open_tiny(dataset)["train"]
    arguments = {"checkpoint_dir": str(tmp_path), "verbose": False}
    first = trainer.fit(recipe, train_split, **arguments)
    zeros = [np.zeros_like(weight) for weight in first.model.get_weights()]
    again = trainer.fit(recipe, train_split, initial_weights=zeros, **arguments)
    assert again.first_epoch == 3 and again.history == first.history
    assert weights_are_equal(again.model, first.model)


@pytest.mark.slow
def test_a_transform_is_applied_to_training_and_evaluation(recipe, dataset):
    """The network sees only black images, so that nothing but the bias of the head can learn."""
    splits = open_tiny(dataset)
    fitted = trainer.fit(
        recipe, splits["train"], splits["eval"], transform=tf.zeros_like, verbose=False
    )
    with_black = batches.map_images(
        batches.evaluation_batches(splits["eval"], recipe), tf.zeros_like
    )
    expected = fitted.model.evaluate(with_black, verbose=0, return_dict=True)
    best = fitted.history[fitted.epoch - 1]
    assert best["val_loss"] == pytest.approx(expected["loss"])
    stem, _ = fitted.model.get_layer("stem").get_weights()
    plain = trainer.fit(recipe, splits["train"], splits["eval"], verbose=False)
    assert not np.allclose(stem, plain.model.get_layer("stem").get_weights()[0])


def test_an_empty_training_split_is_one_clear_error(recipe, dataset, tmp_path):
    info = DatasetInfo("folder:/x", ("a", "b"), {"train": {}, "eval": {"a": 1}})
    with pytest.raises(
        ValueError, match="at least one image in the split 'train'; got .*folder:/x"
    ):
        train(recipe, dataset, str(tmp_path), dataset_info=info)


def test_no_class_names_is_one_clear_error(recipe, dataset, tmp_path):
    info = DatasetInfo("tfrecord:/x", (), {"train": {"": 30}})
    with pytest.raises(ValueError, match="requires class names; tfrecord:/x has none"):
        train(recipe, dataset, str(tmp_path), dataset_info=info)


def test_splits_that_cannot_be_used_are_one_clear_error(recipe, dataset):
    train_split = open_tiny(dataset)["train"]
    for split in (Split((), 0, 3), Split(train_split.files, 30, 0)):
        with pytest.raises(ValueError, match="train must have examples and classes; got"):
            trainer.fit(recipe, split)
    with pytest.raises(ValueError, match="evaluation must have examples and classes; got 0"):
        trainer.fit(recipe, train_split, Split((), 0, 3))
    with pytest.raises(ValueError, match="the classes of train; got 2 and 3 classes"):
        trainer.fit(recipe, train_split, Split(train_split.files, 30, 2))


def test_divergence_stops_with_what_to_do(recipe, dataset, tmp_path):
    wild = recipe.override(
        [
            *("optimizer.name=momentum", "optimizer.learning_rate=1e6"),
            *("optimizer.clip_norm=none", "training.loss=sigmoid", "training.epochs=4"),
        ]
    )
    with pytest.raises(
        TrainingDivergedError, match="must stay finite; got nan by step .* --set optimizer.learning"
    ):
        train(wild, dataset, str(tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        [
            *("training.loss=sigmoid", "model.head_bias_init=-1", "optimizer.name=momentum"),
            *("data.train_crop=inception", "data.mixup=0.5", "training.batch_size=64"),
        ],
        pytest.param(
            [
                "training.precision=mixed_bfloat16",
                "model.stochastic_depth=0.5",
                "model.dropout=0.1",
            ],
            marks=pytest.mark.slow,
        ),
        pytest.param(["training.jit_compile=true"], marks=pytest.mark.slow),
    ],
    ids=["sigmoid and mixup", "bfloat16 and noise", "jit"],
)
def test_every_option_trains_and_exports(recipe, dataset, tmp_path, changes):
    result = train(recipe.override(changes), dataset, str(tmp_path))
    assert 0 <= result.accuracy <= 1
    assert (tmp_path / "model" / "saved_model.pb").exists()
