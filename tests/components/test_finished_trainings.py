# SPDX-License-Identifier: Apache-2.0
import os

from components.trainer import finished_trainings
from mixer_tf.training.checkpoint_files import CheckpointFiles, checkpoint_name


def train(folder, steps=2):
    """Writes checkpoints as a training does, with one byte for its tensors."""
    files = CheckpointFiles(str(folder))
    for step in range(1, steps + 1):
        write = lambda prefix: open(prefix + ".index", "w").close()  # noqa: E731
        files.write(checkpoint_name(step, 0), write, {"best": {"epoch": 0}})
    return str(folder)


def test_of_several_trainings_the_finished_ones_are_removed(tmp_path):
    for name in "abc":
        train(tmp_path / name)
    finished_trainings.mark(str(tmp_path / "a"))
    finished_trainings.mark(str(tmp_path / "b"))
    assert CheckpointFiles(str(tmp_path / "a")).names() == [checkpoint_name(2, 0)]
    finished_trainings.unmark(str(tmp_path / "b"))  # it runs again
    finished_trainings.remove(str(tmp_path))
    assert sorted(os.listdir(tmp_path)) == ["b", "c"]
    assert len(CheckpointFiles(str(tmp_path / "c")).names()) == 2


def test_before_the_first_training_there_is_nothing_to_remove(tmp_path):
    finished_trainings.unmark(str(tmp_path / "checkpoints" / "a"))
    finished_trainings.remove(str(tmp_path / "checkpoints"))
    assert os.listdir(tmp_path) == []
