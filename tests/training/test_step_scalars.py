# SPDX-License-Identifier: Apache-2.0
"""Points within long epochs: how many, their values, and what a killed and resumed run shows."""

import types

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from test_exact_resume import Die, Killed
from test_trainer import open_tiny

from mixer_tf.training import trainer
from mixer_tf.training.checkpoint_options import CheckpointOptions
from mixer_tf.training.input.wait import InputWait
from mixer_tf.training.length import TrainingLength
from mixer_tf.training.tensorboard import step_scalars
from mixer_tf.training.tensorboard.step_scalars import LastPoint, StepScalars, steps_between_points


@pytest.mark.parametrize(
    ("epochs", "steps", "expected"),
    [
        (50, 50 * 20, None),  # digits
        (10, 10 * 99, None),
        (10, 10 * 100, 50),
        (20, 20 * 9_000, 90),  # 100 points in each epoch
        (300, 93_838, 50),  # ImageNet in batches of 4,096
        (300, 937_500, 188),  # ImageNet-21k: 5,000 points
        (7, 512_695, 733),  # JFT-300M
    ],
)
def test_long_epochs_have_up_to_a_hundred_points(epochs, steps, expected):
    assert steps_between_points(TrainingLength(epochs, steps)) == expected


class Log(dict):
    """Tag → [(step, value)]."""

    def write_scalar(self, tag, value, step):
        self.setdefault(tag, []).append((step, value))

    def flush(self):
        pass


OPTIMIZER = types.SimpleNamespace(learning_rate=tf.constant(0.25))
LOSSES = np.random.default_rng(0).uniform(0, 3, 370)


def run(log, length, losses, last, first=0):
    """Calls the callback as the loop does, with Keras' running means of each epoch."""
    points = StepScalars(log, length, 8, InputWait(), last)
    points.model = types.SimpleNamespace(optimizer=OPTIMIZER)
    for epoch in range(length.epochs):
        begin, end = length.end(epoch), length.end(epoch + 1)
        if end <= first:
            continue
        points.on_epoch_begin(epoch)
        for step in range(max(begin, first), min(end, len(losses))):
            points.on_train_batch_begin(step - begin)
            mean = np.float32(losses[begin : step + 1].mean())
            points.on_train_batch_end(step - begin, {"loss": tf.constant(mean)})
        if len(losses) < end:  # killed
            return
        points.on_epoch_end(epoch, {"loss": mean, "val_loss": 7.0, "learning_rate": 0.1})


def expected_points(losses) -> list[tuple[int, float]]:
    """Two epochs of 185 steps: every 50, but none shortly before the end."""
    ends = [0, 50, 100, 150, 185, 235, 285, 335, 370]
    return [(b, losses[a:b].mean()) for a, b in zip(ends, ends[1:], strict=False)]


@pytest.mark.parametrize("killed_after", [None, 100, 120, 185, 240])
def test_points_are_means_over_the_steps_since_the_last_one(killed_after):
    length, log, last = TrainingLength(2, 370), Log(), LastPoint()
    if killed_after:
        run(log, length, LOSSES[:killed_after], last)
        state, last = last.get_state(), LastPoint()
        last.set_state(state)
    run(log, length, LOSSES, last, killed_after or 0)
    found = log["train_steps/loss"]
    assert [step for step, _ in found] == [step for step, _ in expected_points(LOSSES)]
    np.testing.assert_allclose(found, expected_points(LOSSES), rtol=1e-4)
    steps = [step for step, _ in found]
    assert log["train_steps/learning_rate"] == [(step, 0.25) for step in steps]
    timed = [step for step, _ in log["train_steps/images_per_second"]]
    assert set(timed) <= set(steps) and len(timed) >= len(steps) - 1
    assert {tag.partition("/")[0] for tag in log} == {"train_steps"}


def points(folder) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
    return {
        tag: [(e.step, float(tf.make_ndarray(e.tensor_proto))) for e in events.Tensors(tag)]
        for tag in events.Tags()["tensors"]
        if tag.startswith(("train", "eval")) and tag not in ("train/images", "eval/confusion")
    }


class DieAfterEvaluation(tf.keras.callbacks.Callback):
    """The epoch is logged, and the last checkpoint is that of its last step."""

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            raise Killed


@pytest.mark.slow
def test_a_run_that_was_killed_shows_each_point_once(recipe, dataset, tmp_path, monkeypatch):
    """Once within the first epoch, and once when the evaluation of the second one was logged."""
    monkeypatch.setattr(step_scalars, "_LEAST_STEPS", 1)
    splits, shown = open_tiny(dataset), {}
    for name, deaths in {"undisturbed": [], "killed": [Die(3), DieAfterEvaluation()]}.items():
        options = {
            "checkpoint_dir": str(tmp_path / f"{name}-checkpoints"),
            "checkpoints": CheckpointOptions(steps=2),
            "log_dir": str(tmp_path / name),
            "verbose": False,
        }
        for death in deaths:
            with pytest.raises(Killed):
                trainer.fit(recipe, splits["train"], splits["eval"], callbacks=[death], **options)
        trainer.fit(recipe, splits["train"], splits["eval"], **options)
        shown[name] = points(tmp_path / name)
    for tag, expected in shown["undisturbed"].items():
        found = shown["killed"][tag]
        if tag.endswith(("images_per_second", "input_wait")):
            continue  # measured in time
        assert found == expected, tag
    steps = [step for step, _ in shown["killed"]["train_steps/loss"]]
    assert steps == [*range(1, 9)]
    assert {tag for tag in shown["killed"] if tag.startswith("train_steps/")} == {
        f"train_steps/{name}"
        for name in ("loss", "top_1", "gradient_norm", "learning_rate")
        + ("images_per_second", "input_wait")
    }
