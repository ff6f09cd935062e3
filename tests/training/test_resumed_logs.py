# SPDX-License-Identifier: Apache-2.0
"""TensorBoard shows each epoch once, however often the training was killed and resumed."""

import os
import pickle
import subprocess
import sys
import time

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_accumulator import (
    EventAccumulator as PluginEventAccumulator,
)
from test_trainer import open_tiny

from mixer_tf.models import MlpMixer
from mixer_tf.training.tensorboard import LogBackup, TensorBoardScalars, WeightImages

READERS = {"api": EventAccumulator, "user interface": PluginEventAccumulator}


def shown(folder, reader=EventAccumulator) -> dict[str, list[int]]:
    """Tag → the epochs that TensorBoard shows of one run, in order."""
    options = {"size_guidance": {"tensors": 0}} if reader is EventAccumulator else {}
    events = reader(str(folder), **options)
    events.Reload()
    tags = events.Tags()["tensors"]
    return {tag: [event.step for event in events.Tensors(tag)] for tag in tags}


def log(folder, first: int, last: int) -> None:
    """Logs some epochs, counted from 1, and stops without an end, as a killed run does."""
    time.sleep(1 - time.time() % 1)  # TensorBoard sorts the files by the second of their start
    scalars = TensorBoardScalars(str(folder), first - 1)
    for epoch in range(first, last + 1):
        scalars.on_epoch_end(epoch - 1, {"loss": 1 / epoch, "val_loss": 2 / epoch})


@pytest.mark.parametrize("reader", READERS)
def test_epochs_that_are_repeated_appear_once(tmp_path, reader):
    log(tmp_path, 1, 5)
    log(tmp_path, 4, 6)
    log(tmp_path, 4, 4)
    log(tmp_path, 5, 8)
    for run in ("train", "eval"):
        assert shown(tmp_path / run, READERS[reader]) == {"loss": [1, 2, 3, 4, 5, 6, 7, 8]}


@pytest.mark.parametrize("reader", READERS)
def test_a_training_that_starts_again_shows_nothing_of_the_first_one(tmp_path, reader):
    log(tmp_path, 1, 5)
    log(tmp_path, 1, 2)
    assert shown(tmp_path / "train", READERS[reader]) == {"loss": [1, 2]}


def test_an_epoch_that_was_cut_off_while_it_was_written_is_removed(tmp_path):
    log(tmp_path, 1, 3)
    (file,) = (tmp_path / "train").iterdir()
    with file.open("rb+") as opened:
        opened.truncate(file.stat().st_size - 5)
    log(tmp_path, 3, 4)
    assert shown(tmp_path / "train") == {"loss": [1, 2, 3, 4]}


def test_a_tensorboard_that_runs_forgets_repeated_epochs(tmp_path):
    log(tmp_path, 1, 5)
    events = PluginEventAccumulator(str(tmp_path / "train"))
    events.Reload()
    assert len(events.Tensors("loss")) == 5
    log(tmp_path, 4, 6)
    events.Reload()
    assert [event.step for event in events.Tensors("loss")] == [1, 2, 3, 4, 5, 6]


def test_repeated_plots_of_weights_appear_once(tmp_path):
    model = MlpMixer(
        **dict(image_size=8, patch_size=4, num_blocks=1, hidden_dim=6, tokens_mlp_dim=5),
        **dict(channels_mlp_dim=4, num_classes=2),
    )
    for first, last in ((1, 3), (3, 4)):
        images = WeightImages(str(tmp_path), epochs=4, epochs_done=first - 1)
        images.set_model(model)
        for epoch in range(first, last + 1):
            images.on_epoch_end(epoch - 1, {})
    assert shown(tmp_path / "weights")["stem"] == [1, 2, 3, 4]


def test_another_folder_gets_the_epochs_of_the_first_one(tmp_path):
    """Those that were saved; the others are repeated."""
    backup = tmp_path / "backup"
    log(tmp_path / "a", 1, 3)
    LogBackup(str(tmp_path / "a"), str(backup)).save()
    log(tmp_path / "a", 4, 5)
    for folder, first, last in (("b", 4, 6), ("c", 4, 7)):
        LogBackup(str(tmp_path / folder), str(backup)).restore()
        log(tmp_path / folder, first, last)
    assert shown(tmp_path / "b" / "train") == {"loss": [1, 2, 3, 4, 5, 6]}
    assert shown(tmp_path / "c" / "eval") == {"loss": [1, 2, 3, 4, 5, 6, 7]}
    LogBackup(str(tmp_path / "c"), str(backup)).save()
    assert shown(backup / "train") == {"loss": [1, 2, 3, 4, 5, 6, 7]}


_KILLED = """
import os, pickle, signal, sys
import tensorflow as tf
from mixer_tf.training import checkpointing, tensorboard, trainer

where, epoch, (recipe, splits, arguments) = pickle.load(sys.stdin.buffer)
checkpointing.SAVE_SECONDS = 0

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
make = trainer.TrainingCheckpoint
trainer.TrainingCheckpoint = lambda *a, **b: callbacks.setdefault("best", make(*a, **b))
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
            input=pickle.dumps((where, epoch, (recipe, open_tiny(dataset), arguments))),
            cwd=os.getcwd(),
            capture_output=True,
        )
        assert done.returncode == exit_code, done.stderr.decode()
    for reader in READERS.values():
        for run in ("train", "eval"):
            found = shown(logs / run, reader)
            assert found and all(epochs == [1, 2, 3, 4, 5] for epochs in found.values()), found
        assert shown(logs / "weights", reader)["stem"] == [1, 2, 3, 4, 5]
