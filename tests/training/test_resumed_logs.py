# SPDX-License-Identifier: Apache-2.0
"""TensorBoard shows each epoch once, however often the training was killed and resumed."""

import os
import pickle
import subprocess
import sys
import time

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_accumulator import (
    EventAccumulator as PluginEventAccumulator,
)
from test_trainer import open_tiny

from mixer_tf.models import MlpMixer
from mixer_tf.training.length import TrainingLength, training_length
from mixer_tf.training.tensorboard import LogBackup, RunLog, TensorBoardScalars, WeightImages

GROUPS = ("train/", "train_steps/", "eval/", "weights/")
READERS = {"api": EventAccumulator, "user interface": PluginEventAccumulator}


def shown(folder, reader) -> dict[str, list[int]]:
    """Tag → the steps that TensorBoard shows of one run, in order."""
    options = {"size_guidance": {"tensors": 0}} if reader is EventAccumulator else {}
    events = reader(str(folder), **options)
    events.Reload()
    tags = events.Tags()["tensors"]
    return {tag: [event.step for event in events.Tensors(tag)] for tag in tags}


def tiny_model() -> MlpMixer:
    return MlpMixer(
        **dict(image_size=8, patch_size=4, num_blocks=1, hidden_dim=6, tokens_mlp_dim=5),
        **dict(channels_mlp_dim=4, num_classes=2),
    )


def log(folder, first: int, last: int) -> None:
    """Logs some epochs of 10 steps, from 1, and stops without an end, as a killed run does."""
    time.sleep(1 - time.time() % 1)  # TensorBoard sorts the files by the second of their start
    scalars = TensorBoardScalars(RunLog(str(folder), 10 * (first - 1)), TrainingLength(4, 40))
    scalars.set_model(tiny_model())
    for epoch in range(first, last + 1):
        scalars.on_epoch_end(epoch - 1, {"loss": 1 / epoch, "val_loss": 2 / epoch})


def assert_shown(folder, epochs: int) -> None:
    steps = [10 * (epoch + 1) for epoch in range(epochs)]
    tags = ("train/loss", "eval/loss", "weights/norm")
    for name, reader in READERS.items():
        assert shown(folder, reader) == dict.fromkeys(tags, steps), name


def test_epochs_that_are_repeated_appear_once(tmp_path):
    log(tmp_path, 1, 5)
    log(tmp_path, 4, 6)
    log(tmp_path, 4, 4)
    log(tmp_path, 5, 8)
    assert_shown(tmp_path, 8)


def test_a_training_that_starts_again_shows_nothing_of_the_first_one(tmp_path):
    log(tmp_path, 1, 5)
    log(tmp_path, 1, 2)
    assert_shown(tmp_path, 2)


def test_an_epoch_that_was_cut_off_while_it_was_written_is_removed(tmp_path):
    log(tmp_path, 1, 3)
    (file,) = tmp_path.iterdir()
    with file.open("rb+") as opened:
        opened.truncate(file.stat().st_size - 5)
    log(tmp_path, 3, 4)
    assert_shown(tmp_path, 4)


def test_a_tensorboard_that_runs_forgets_repeated_epochs(tmp_path):
    log(tmp_path, 1, 5)
    events = PluginEventAccumulator(str(tmp_path))
    events.Reload()
    assert len(events.Tensors("train/loss")) == 5
    log(tmp_path, 4, 6)
    events.Reload()
    assert [event.step for event in events.Tensors("train/loss")] == [10, 20, 30, 40, 50, 60]


def test_repeated_plots_of_weights_appear_once(tmp_path):
    for first, last in ((1, 3), (3, 4)):
        images = WeightImages(RunLog(str(tmp_path), 10 * (first - 1)), TrainingLength(4, 40))
        images.set_model(tiny_model())
        for epoch in range(first, last + 1):
            images.on_epoch_end(epoch - 1, {})
    assert shown(tmp_path, EventAccumulator)["weights/stem"] == [10, 20, 30, 40]


def test_what_was_logged_before_the_first_step_is_not_logged_twice(tmp_path):
    """The recipe and the augmented images, by a run that was killed before its first checkpoint."""
    for _ in range(2):
        time.sleep(1 - time.time() % 1)
        run = RunLog(str(tmp_path))
        run.write_image("train/images", np.zeros((4, 4, 3), np.uint8), step=0)
        run.close()
    log(tmp_path, 2, 2)
    for reader in READERS.values():
        assert shown(tmp_path, reader)["train/images"] == [0]


def test_another_folder_gets_the_epochs_of_the_first_one(tmp_path):
    """Those that were saved; the others are repeated."""
    backup = tmp_path / "backup"
    log(tmp_path / "a", 1, 3)
    LogBackup(str(tmp_path / "a"), str(backup)).save()
    log(tmp_path / "a", 4, 5)
    for folder, first, last in (("b", 4, 6), ("c", 4, 7)):
        LogBackup(str(tmp_path / folder), str(backup)).restore()
        log(tmp_path / folder, first, last)
    assert_shown(tmp_path / "b", 6)
    assert_shown(tmp_path / "c", 7)
    LogBackup(str(tmp_path / "c"), str(backup)).save()
    LogBackup(str(tmp_path / "d"), str(backup)).restore()
    assert_shown(tmp_path / "d", 7)
    assert not list(backup.glob("*tfevents*")), "TensorBoard would show the copies as another run"


_KILLED = """
import os, pickle, signal, sys
import tensorflow as tf
from mixer_tf.training import checkpointing, tensorboard, trainer, training_setup
from mixer_tf.training.tensorboard import step_scalars

where, epoch, (recipe, splits, arguments) = pickle.load(sys.stdin.buffer)
checkpointing.SAVE_SECONDS = 0
step_scalars._LEAST_STEPS = 1

def die_after(owner, name):
    function = getattr(owner, name)
    def wrapped(self, *args, **kwargs):
        result = function(self, *args, **kwargs)
        done = callbacks["best"]._position.epochs if "best" in callbacks else 0
        if done >= epoch:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    setattr(owner, name, wrapped)

callbacks = {}
make = training_setup.TrainingCheckpoint
training_setup.TrainingCheckpoint = lambda *a, **b: callbacks.setdefault("best", make(*a, **b))
die_after(*{
    "after the logs": (tensorboard.LogBackup, "save"),
    "after the checkpoint": (checkpointing.TrainingCheckpoint, "save"),
    "after the next scalars": (tensorboard.TensorBoardScalars, "on_epoch_end"),
}[where])
trainer.fit(recipe, splits["train"], splits["eval"], **arguments)
"""


@pytest.mark.slow
def test_killed_anywhere_each_epoch_appears_once(recipe, dataset, tmp_path):
    """Resumed in the same folder as in `mixer train`, and in a new one as in the pipeline."""
    recipe = recipe.override(["training.epochs=5"])
    splits = open_tiny(dataset)
    length = training_length(recipe.training, splits["train"].num_examples)
    ends = [length.end(epoch) for epoch in range(1, 6)]
    runs = [
        *[("after the next scalars", 1, "a", -9), ("after the logs", 2, "a", -9)],
        *[("after the checkpoint", 3, "b", -9), ("after the checkpoint", 99, "c", 0)],
    ]
    for where, epoch, folder, exit_code in runs:
        logs = tmp_path / folder
        arguments = {"checkpoint_dir": str(tmp_path / "checkpoints"), "log_dir": str(logs)}
        arguments |= {"strategy": "default", "verbose": False}
        done = subprocess.run(
            [sys.executable, "-c", _KILLED],
            input=pickle.dumps((where, epoch, (recipe, splits, arguments))),
            cwd=os.getcwd(),
            capture_output=True,
        )
        assert done.returncode == exit_code, done.stderr.decode()
    for reader in READERS.values():
        found = shown(logs, reader)
        once = {tag: found.pop(tag) for tag in [*found] if not tag.startswith(GROUPS)}
        assert found.pop("train/images") == [0]
        assert {"train/loss", "eval/loss", "weights/stem", "eval/confusion"} <= set(found)
        within = [found.pop(tag) for tag in [*found] if tag.startswith("train_steps/")]
        assert len(within) == 6
        assert all(set(steps) <= set(range(1, length.steps + 1)) for steps in within)
        assert [*range(1, length.steps + 1)] in within
        assert all(steps == sorted(set(steps)) for steps in within)
        assert all(steps == ends for steps in found.values()), found
        end = [length.steps + 1]
        assert once == {"_hparams_/session_start_info": [0], "_hparams_/session_end_info": end}
