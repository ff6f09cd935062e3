# SPDX-License-Identifier: Apache-2.0
"""Checkpoints are complete or not there, and every damage is noticed before it is used."""

import builtins
import contextlib
import errno
import json
import os
import resource

import numpy as np
import pytest
import tensorflow as tf

from mixer_tf.training.checkpoint_files import (
    CheckpointFiles,
    CorruptCheckpointError,
    checkpoint_name,
)
from mixer_tf.training.checkpoint_options import CheckpointOptions

VALUES = np.arange(1000, dtype=np.float32)
WEIGHTS = [np.float32(3), np.arange(12.0).reshape(3, 4)]


def write(files, step, best=1, epochs=0):
    name = checkpoint_name(step, epochs)
    tensors = tf.train.Checkpoint(values=tf.Variable(VALUES + step))
    files.write_best(best, WEIGHTS)
    files.write(name, tensors.write, {"step": step, "best": {"epoch": best}})
    return name


@pytest.fixture
def files(tmp_path):
    return CheckpointFiles(str(tmp_path))


def test_what_was_written_is_read(files):
    name = write(files, 7)
    assert files.read_state(name)["step"] == 7
    values = tf.Variable(tf.zeros(1000))
    tf.train.Checkpoint(values=values).read(files.tensors(name)).assert_consumed()
    np.testing.assert_array_equal(values, VALUES + 7)
    for found, expected in zip(files.read_best(1), WEIGHTS, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_the_latest_comes_first_also_after_equal_steps(files):
    names = [write(files, 9), write(files, 10, epochs=1), write(files, 10), write(files, 100)]
    assert files.names() == [names[3], names[1], names[2], names[0]]


def test_pruning_keeps_the_last_ones_and_their_best_weights(files, tmp_path):
    for step, best in ((1, 1), (2, 2), (3, 1), (4, 3)):
        name = write(files, step, best)
    files.prune(keep=2)
    assert files.names() == [name, checkpoint_name(3, 0)]
    assert sorted(p.name for p in tmp_path.glob("best*")) == [
        "best-0000001.npz",
        "best-0000003.npz",
    ]


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_earlier_ones(files, tmp_path, failure):
    name = write(files, 1)

    def fail(prefix):
        tf.train.Checkpoint(values=tf.Variable(VALUES)).write(prefix)
        raise failure

    with pytest.raises(type(failure)):
        files.write(checkpoint_name(2, 0), fail, {})
    assert files.names() == [name] and not list(tmp_path.glob("partial*"))


def test_what_a_kill_in_a_write_leaves_is_not_a_checkpoint(files, tmp_path):
    (tmp_path / f"partial-{checkpoint_name(1, 0)}").mkdir()
    (tmp_path / checkpoint_name(2, 0)).mkdir()  # a removal that was not completed
    assert files.names() == []
    name = write(files, 3)
    files.prune(keep=1)
    assert files.names() == [name] and not list(tmp_path.glob("partial*"))


DAMAGES = {
    "truncated state": lambda folder: _truncate(folder / "state.json"),
    "truncated tensors": lambda folder: _truncate(folder / "tensors.data-00000-of-00001"),
    "no tensors": lambda folder: (folder / "tensors.data-00000-of-00001").unlink(),
    "truncated index": lambda folder: _truncate(folder / "tensors.index"),
    "no index": lambda folder: (folder / "tensors.index").unlink(),
    "a bit": lambda folder: _flip(folder / "tensors.data-00000-of-00001"),
}


def _truncate(path):
    os.truncate(path, path.stat().st_size // 2)


def _flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_noticed_when_it_is_read(files, tmp_path, damage):
    name = write(files, 1)
    DAMAGES[damage](tmp_path / name)
    with pytest.raises(CorruptCheckpointError):
        files.read_state(name)


@pytest.mark.parametrize("damage", [_truncate, _flip, os.unlink])
def test_damaged_best_weights_are_noticed(files, tmp_path, damage):
    write(files, 1)
    damage(tmp_path / "best-0000001.npz")
    with pytest.raises(CorruptCheckpointError):
        files.read_best(1)


def test_a_file_that_cannot_be_opened_now_is_not_corrupt(files):
    """However many files TensorFlow may open before it cannot."""
    name = write(files, 1)
    files.read_state(name), files.read_best(1)  # what they import is open no longer
    outcomes = []
    for number in range(5):
        with at_most_open(number):
            try:
                outcomes.append((files.read_state(name)["step"], len(files.read_best(1))))
            except OSError as error:
                outcomes.append(error.errno)
    assert outcomes[0] == errno.EMFILE and outcomes[-1] == (1, 2), outcomes
    assert set(outcomes) == {errno.EMFILE, (1, 2)}


@contextlib.contextmanager
def at_most_open(number):
    """Within the block, this process can open so many more files at a time."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 1024), hard))
    fillers = []
    try:
        with contextlib.suppress(OSError):
            while True:
                fillers.append(os.open(os.devnull, os.O_RDONLY))
        for _ in range(number):
            os.close(fillers.pop())
        yield
    finally:
        for filler in fillers:
            os.close(filler)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_failure_that_has_passed_is_not_damage(files, monkeypatch):
    """TensorFlow's reader raises the same exception for it as for a wrong checksum."""
    name, load, calls = write(files, 1), tf.train.load_checkpoint, []

    def load_later(prefix):
        calls.append(prefix)
        if len(calls) == 1:
            raise tf.errors.OpError(None, None, "Error code 503", 2)
        return load(prefix)

    monkeypatch.setattr(tf.train, "load_checkpoint", load_later)
    assert files.read_state(name)["step"] == 1 and len(calls) == 2


def deny(monkeypatch, word):
    """Denies access to paths with a word, as to a process of another user."""

    def denying(function):
        def checked(path, *args, **kwargs):
            if isinstance(path, str) and word in path:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
            return function(path, *args, **kwargs)

        return checked

    for owner, name in ((builtins, "open"), (os, "stat"), (os, "listdir")):
        monkeypatch.setattr(owner, name, denying(getattr(owner, name)))


@pytest.mark.parametrize("word", ["step-", "state.json"])
def test_without_permission_nothing_is_removed(files, tmp_path, monkeypatch, word):
    write(files, 1)
    before = sorted(tmp_path.rglob("*"))
    with monkeypatch.context() as patch:
        deny(patch, word)
        with pytest.raises(PermissionError):
            files.names()
    with monkeypatch.context() as patch:
        patch.setattr(files, "names", lambda: [checkpoint_name(1, 0)])
        deny(patch, word)
        files.prune(keep=2)
    assert sorted(tmp_path.rglob("*")) == before


def test_an_interrupted_removal_leaves_no_checkpoint(files, tmp_path, monkeypatch):
    name = write(files, 1)

    def fail(path):
        raise KeyboardInterrupt

    monkeypatch.setattr("mixer_tf.storage.remove_folder", fail)
    with pytest.raises(KeyboardInterrupt):
        files.discard()
    assert files.names() == [] and (tmp_path / name).exists()


def test_the_state_is_json(files, tmp_path):
    name = write(files, 5)
    assert json.loads((tmp_path / name / "state.json").read_text())["step"] == 5


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"minutes": 0}, "minutes between checkpoints must be more than 0; got 0"),
        ({"minutes": float("nan")}, "minutes between checkpoints must be more than 0; got nan"),
        ({"steps": -1}, "steps between checkpoints must be at least 1; got -1"),
        ({"steps": 0}, "steps between checkpoints must be at least 1; got 0"),
        ({"keep": 0}, "number of checkpoints must be at least 1; got 0"),
    ],
)
def test_options_out_of_range_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        CheckpointOptions(**values)
