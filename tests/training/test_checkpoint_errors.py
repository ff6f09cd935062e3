# SPDX-License-Identifier: Apache-2.0
"""Checkpoints that cannot be read or written, and workers that have different ones."""

import math

import pytest
import tensorflow as tf
from test_train_step import compiled

from mixer_tf.training import checkpointing
from mixer_tf.training.checkpoint_files import CheckpointFiles
from mixer_tf.training.length import TrainingLength
from mixer_tf.training.loop import Position


@pytest.fixture(scope="module")
def model(recipe):
    model = compiled(recipe)
    model.optimizer.build(model.trainable_variables)
    return model


def open_checkpoint(model, folder):
    return checkpointing.TrainingCheckpoint(model, str(folder), TrainingLength(4, 40), {})


def save(checkpoint, step, accuracy=None):
    """Saves after an epoch that ends with a step."""
    if accuracy is not None:
        checkpoint.on_epoch_end(step // 10 - 1, {"val_accuracy": accuracy, "val_loss": 1.0})
    checkpoint._position = Position(step, step // 10)
    return checkpoint.save()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("function", ["_read_state", "_read_best"])
def test_a_checkpoint_that_cannot_be_read_is_one_error_and_stays(
    model, tmp_path, monkeypatch, function
):
    checkpoint = open_checkpoint(model, tmp_path)
    assert save(checkpoint, 10, accuracy=0.5) and save(checkpoint, 20)
    before = names(tmp_path)

    def fail(*_):
        raise OSError(116, "Stale file handle")

    monkeypatch.setattr(CheckpointFiles, function, fail)
    monkeypatch.setattr("mixer_tf.storage.open_existing", fail)
    with pytest.raises(OSError, match="must be readable to resume from it; got: Stale file handle"):
        open_checkpoint(model, tmp_path).restore()
    assert names(tmp_path) == before


def test_a_checkpoint_that_is_not_written_leaves_no_best_weights(
    model, tmp_path, monkeypatch, capsys
):
    checkpoint = open_checkpoint(model, tmp_path)
    assert save(checkpoint, 10, accuracy=0.5)
    before = names(tmp_path)
    assert "best-0000001.npz" in before

    def full(*_):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(CheckpointFiles, "write", full)
    assert not save(checkpoint, 20, accuracy=0.75)
    assert names(tmp_path) == before
    assert "No space left on device" in capsys.readouterr().err


def test_workers_with_different_checkpoints_are_one_clear_error(model, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpointing.distribution, "has_several_workers", lambda strategy: True)
    others = [[0, 0]]
    monkeypatch.setattr(checkpointing.distribution, "gather", lambda strategy, own: [own, *others])
    save(open_checkpoint(model, tmp_path), 10)
    with pytest.raises(ConnectionError, match="step 0 .epochs: 0., step 10 .epochs: 1.. Share"):
        open_checkpoint(model, tmp_path).restore()
    others[:] = [[10, 1]]
    assert open_checkpoint(model, tmp_path).restore().step == 10


def test_a_loss_that_is_not_a_number_does_not_win():
    best = checkpointing.BestWeights()
    assert best._is_best(1, 0.5, 2.0)
    assert not best._is_best(2, 0.5, math.nan)
    assert best._is_best(3, 0.75, math.nan)
    assert best._is_best(4, 0.75, 9.0)
    assert not best._is_best(5, 0.75, 9.0)
