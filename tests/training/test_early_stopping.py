# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from harness import tiny_recipe
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mixer_tf.training import trainer
from mixer_tf.training.checkpoint_options import CheckpointOptions
from mixer_tf.training.input.split import open_splits
from mixer_tf.training.length import TrainingLength

# So slow that the accuracy of the first epoch stays the best one.
SLOW = ["optimizer.learning_rate=1e-9", "optimizer.schedule=constant", "training.epochs=9"]


@pytest.fixture(scope="module")
def splits(dataset):
    return open_splits(dataset.folder, dataset.info)


def fit(splits, *options, evaluation="eval", **kwargs):
    recipe = tiny_recipe().override([*SLOW, *options])
    train, evaluation = splits["train"], splits.get(evaluation)
    return trainer.fit(recipe, train, evaluation, verbose=False, **kwargs)


def test_a_training_ends_after_epochs_without_a_better_one_and_says_so(splits):
    fitted = fit(splits, "training.patience=2")
    assert fitted.epoch <= 2 and len(fitted.history) == fitted.epoch + 2
    assert f"stopped after epoch {fitted.epoch + 2} of 9" in fitted.notes[-1]


@pytest.mark.slow
def test_a_training_that_was_killed_after_its_last_epoch_does_not_go_on(splits, tmp_path):
    options = dict(checkpoint_dir=str(tmp_path), checkpoints=CheckpointOptions(steps=1))
    first = fit(splits, "training.patience=2", **options)
    again = fit(splits, "training.patience=2", **options)
    assert len(again.history) == len(first.history)
    assert (again.epoch, again.accuracy) == (first.epoch, first.accuracy)
    for found, expected in zip(again.model.get_weights(), first.model.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_without_an_evaluation_split_it_has_no_effect_and_says_so(splits):
    fitted = fit(splits, "training.patience=1", evaluation=None)
    assert len(fitted.history) == 9
    assert "training.patience has no effect" in fitted.notes[-1]


@pytest.mark.slow
def test_a_training_that_was_killed_after_an_early_end_logs_its_success_again(splits, tmp_path):
    """What an earlier run has logged after the last step was removed when it resumed."""
    folders = {"checkpoint_dir": str(tmp_path / "a"), "log_dir": str(tmp_path / "b")}
    options = dict(checkpoints=CheckpointOptions(steps=1), **folders)
    for _ in range(2):
        fit(splits, "training.patience=1", **options)
        events = EventAccumulator(folders["log_dir"]).Reload()
        (end,) = events.Tensors("_hparams_/session_end_info")
        assert end.step > 9


@pytest.mark.slow
def test_checkpoints_of_another_length_are_refused(splits, tmp_path):
    options = dict(checkpoint_dir=str(tmp_path), checkpoints=CheckpointOptions(steps=1))
    fit(splits, length=TrainingLength(1, 2), **options)
    with pytest.raises(ValueError, match="holds those of another training"):
        fit(splits, length=TrainingLength(2, 4), **options)
