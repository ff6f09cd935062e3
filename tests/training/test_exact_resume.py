# SPDX-License-Identifier: Apache-2.0
"""However a training was stopped, it ends with the weights and metrics of an undisturbed one."""

import os
import signal

import numpy as np
import pytest
import tensorflow as tf
from test_train_step import compiled
from test_trainer import open_tiny, weights_are_equal

from mixer_tf.training import checkpoint_files, checkpointing, trainer
from mixer_tf.training.checkpoint_options import CheckpointOptions
from mixer_tf.training.interruption import TrainingStopped
from mixer_tf.training.length import TrainingLength
from mixer_tf.training.loop import Position


@pytest.fixture(scope="module")
def noisy(recipe):
    """15 steps in 4 epochs, with everything that is drawn at random."""
    return recipe.override(
        [
            *("training.epochs=4", "optimizer.ema=0.8", "data.mixup=0.3", "data.flip=true"),
            *("model.dropout=0.1", "model.stochastic_depth=0.3"),
            "optimizer.layer_rates=stem=0.1,block_*=0.5",
        ]
    )


@pytest.fixture(scope="module")
def whole(noisy, dataset):
    splits = open_tiny(dataset)
    return trainer.fit(noisy, splits["train"], splits["eval"], verbose=False)


def fit(recipe, dataset, folder, **arguments):
    splits = open_tiny(dataset)
    folder = str(folder / "checkpoints")
    return trainer.fit(
        recipe, splits["train"], splits["eval"], checkpoint_dir=folder, verbose=False, **arguments
    )


class Signal(tf.keras.callbacks.Callback):
    """Sends this process a signal after a step; within the next evaluation if `evaluating`."""

    def __init__(self, step, number=signal.SIGTERM, evaluating=False):
        super().__init__()
        self._step, self._number, self._evaluating = step, number, evaluating

    def on_train_batch_end(self, batch, logs=None):
        if not self._evaluating:
            self._send()

    def on_test_batch_begin(self, batch, logs=None):
        if self._evaluating:
            self._send()

    def _send(self):
        if self.model.optimizer.iterations.numpy() == self._step:
            os.kill(os.getpid(), self._number)


def assert_same(fitted, whole):
    assert weights_are_equal(fitted.model, whole.model)
    assert (fitted.accuracy, fitted.epoch) == (whole.accuracy, whole.epoch)
    assert exact(fitted) == exact(whole)


def exact(fitted):
    """The history without what is measured in time."""
    times = ("examples_per_second", "input_wait")
    return [
        {name: value for name, value in logs.items() if name not in times}
        for logs in fitted.history
    ]


def test_stopped_within_an_epoch_and_within_an_evaluation(noisy, dataset, tmp_path, whole):
    stops = [(6, False, signal.SIGTERM, 143), (11, True, signal.SIGINT, 130)]
    for step, evaluating, number, code in stops:
        with pytest.raises(TrainingStopped, match=f"step {step} of 15, which is saved") as caught:
            fit(noisy, dataset, tmp_path, callbacks=[Signal(step, number, evaluating)])
        assert caught.value.exit_code == code
    fitted = fit(noisy, dataset, tmp_path)
    assert (fitted.first_epoch, fitted.first_step) == (3, 11)
    assert_same(fitted, whole)


class Killed(BaseException):
    """The end of a run that saves nothing more."""


class Die(tf.keras.callbacks.Callback):
    def __init__(self, step):
        super().__init__()
        self._step = step

    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations.numpy() == self._step:
            raise Killed


@pytest.mark.slow
def test_a_corrupt_checkpoint_falls_back_to_the_one_before(noisy, dataset, tmp_path, whole, capsys):
    every_step = CheckpointOptions(steps=1, keep=3)
    with pytest.raises(Killed):
        fit(noisy, dataset, tmp_path, checkpoints=every_step, callbacks=[Die(10)])
    saved = sorted((tmp_path / "checkpoints").glob("step-*"))
    assert [path.name[:15] for path in saved] == [f"step-{n:010d}" for n in (7, 8, 9)]
    (saved[-1] / "tensors.index").write_bytes(b"")
    os.truncate(saved[-2] / "state.json", 9)
    fitted = fit(noisy, dataset, tmp_path)
    warnings = capsys.readouterr().err.splitlines()
    assert [line.startswith("WARNING: the checkpoint ") for line in warnings] == [True, True]
    assert "is incomplete or corrupt (" in warnings[0]
    assert (fitted.first_epoch, fitted.first_step) == (2, 7)
    assert_same(fitted, whole)


@pytest.mark.slow
def test_a_full_disk_only_warns(noisy, dataset, tmp_path, whole, capsys, monkeypatch):
    """The first checkpoint succeeds; that after step 8 does not."""
    write = checkpoint_files.CheckpointFiles.write

    def fill(self, name, write_tensors, state):
        if state["step"] > 7:
            write_tensors = full
        write(self, name, write_tensors, state)

    def full(prefix):
        raise tf.errors.ResourceExhaustedError(None, None, f"{prefix}; No space left on device")

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(checkpoint_files.CheckpointFiles, "write", fill)
        options = CheckpointOptions(steps=4)
        fit(noisy, dataset, tmp_path, checkpoints=options, callbacks=[Die(10)])
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "step 8 " in line]
    assert "cannot be written" in line and "No space left on device" in line
    assert line.endswith("a restart would resume after step 4.")
    assert not list((tmp_path / "checkpoints").glob("partial*"))
    fitted = fit(noisy, dataset, tmp_path)
    assert fitted.first_step == 4
    assert_same(fitted, whole)


def test_the_checkpoints_of_another_training_are_refused(recipe, noisy, dataset, tmp_path):
    every_step = CheckpointOptions(steps=1)
    with pytest.raises(Killed):
        fit(noisy, dataset, tmp_path, checkpoints=every_step, callbacks=[Die(3)])
    with pytest.raises(ValueError, match="holds those of another training"):
        fit(recipe, dataset, tmp_path)


@pytest.mark.slow
def test_callbacks_with_a_state_continue(recipe, dataset, tmp_path):
    """Also several of one class."""

    class Counter(tf.keras.callbacks.Callback):
        def __init__(self, step):
            super().__init__()
            self.count, self.step = 0, step

        def on_epoch_end(self, epoch, logs=None):
            self.count += self.step

        def get_state(self):
            return self.count

        def set_state(self, state):
            self.count = state

    with pytest.raises(TrainingStopped):
        fit(recipe, dataset, tmp_path, callbacks=[Counter(1), Counter(10), Signal(6)])
    counters = Counter(1), Counter(10)
    fit(recipe, dataset, tmp_path, callbacks=counters)
    assert [counter.count for counter in counters] == [2, 20]


def test_noise_follows_from_the_seed_and_the_step(noisy):
    """Two steps, two layers and two seeds draw differently, the same ones equally."""
    from mixer_tf.models.layers import Dropout, StochasticDepth
    from mixer_tf.models.noise import step_noise

    ones = tf.ones([64, 8])

    @tf.function
    def draw(seed, step):
        with step_noise(seed, step):
            layers = (Dropout(0.5), Dropout(0.5), StochasticDepth(0.5), StochasticDepth(0.5))
            return [layer(ones, training=True) for layer in layers]

    first, again = draw(0, tf.constant(3)), draw(0, tf.constant(3))
    for found, expected in zip(again, first, strict=True):
        np.testing.assert_array_equal(found, expected)
    assert 0.35 < np.mean(first[0].numpy() == 0) < 0.65
    others = [*first, *draw(0, tf.constant(4)), *draw(1, tf.constant(3))]
    assert len({other.numpy().tobytes() for other in others}) == 12


def test_workers_agree_where_no_step_is_a_multiple_of_ten(recipe, tmp_path, monkeypatch):
    """As with 50 steps at once after an epoch of 313."""
    asked = []
    monkeypatch.setattr(checkpointing.distribution, "has_several_workers", lambda strategy: True)
    monkeypatch.setattr(
        checkpointing.distribution, "maximum", lambda strategy, wish: asked.append(wish) or wish
    )
    saved = checkpointing.TrainingCheckpoint(
        compiled(recipe), str(tmp_path), TrainingLength(2, 626), {}
    )
    saved._position = Position(313, 1)
    for batch in (49, 99, 149):
        saved.on_train_batch_end(batch, {})
    assert len(asked) == 3
