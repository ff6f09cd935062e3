# SPDX-License-Identifier: Apache-2.0
"""Logs and progress that cannot be written do not end a training."""

import contextlib
import errno
import os
import resource

import pytest
import tensorflow as tf

from mixer_tf.training import callbacks, reporting
from mixer_tf.training.length import TrainingLength
from mixer_tf.training.profiled_steps import ProfiledSteps
from mixer_tf.training.tensorboard import RunLog, event_files
from mixer_tf.training.tensorboard.profiling import StepProfiler


@contextlib.contextmanager
def files_of_at_most(size):
    """Within the block, no file can grow beyond a number of bytes, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def write(log, steps):
    for step in steps:
        log.write_scalar("train/loss", float(step), step)
    log.flush()


@pytest.fixture
def filled(tmp_path):
    """A log of the steps 0 to 2, after which the disk is full, and the folder of its files."""
    log = RunLog(str(tmp_path))
    write(log, range(3))
    (file,) = tmp_path.iterdir()
    with files_of_at_most(file.stat().st_size + 60):  # in the middle of a second event
        write(log, range(3, 30))
    return log, tmp_path


def logged_steps(folder):
    """The steps of all files, in the order of their numbers, up to an event that was cut."""
    steps = []
    for path in sorted(folder.iterdir(), key=lambda path: (len(path.name), path.name)):
        with contextlib.suppress(tf.errors.DataLossError):
            for event in tf.compat.v1.train.summary_iterator(str(path)):
                steps += [event.step for _ in event.summary.value]
    return steps


def test_what_was_logged_before_the_disk_was_full_stays(filled):
    log, folder = filled
    log.close()
    assert logged_steps(folder) == [0, 1, 2]


def test_the_warning_says_why(tmp_path, capsys):
    log = RunLog(str(tmp_path))
    with files_of_at_most(0):
        write(log, range(20))
    lines = capsys.readouterr().err.splitlines()
    (warning,) = [line for line in lines if line.startswith("WARNING: ")]
    assert f"the logs in {tmp_path} cannot be written ({tmp_path}/events." in warning
    assert "; File too large); the training goes on without them" in warning


def test_logs_go_on_when_there_is_space_again(filled, monkeypatch):
    log, folder = filled
    monkeypatch.setattr(event_files, "_RETRY_SECONDS", 0.0)
    with files_of_at_most(0):
        write(log, range(30, 33))
    assert len(list(folder.iterdir())) == 1, "empty files would pile up"
    write(log, range(40, 43))
    log.close()
    assert logged_steps(folder) == [0, 1, 2, 40, 41, 42]


def test_an_error_of_another_worker_is_not_one_of_the_logs(tmp_path, monkeypatch):
    log = RunLog(str(tmp_path))
    monkeypatch.setattr(event_files.lost_workers, "is_lost", lambda error: True)
    with files_of_at_most(0), pytest.raises(tf.errors.OpError):
        write(log, range(20))


class FullStream:
    def __init__(self, number):
        self._number = number

    def isatty(self):
        return False

    def write(self, text):
        raise OSError(self._number, os.strerror(self._number))


def test_progress_that_cannot_be_written_does_not_end_a_training():
    """Such as that of a trial of `mixer sweep`, whose output is a file."""
    bar = callbacks.ProgressBar(TrainingLength(1, 1), stream=FullStream(errno.ENOSPC))
    bar.on_train_begin()
    bar.on_epoch_end(0, {"loss": 1.0})
    with pytest.raises(BrokenPipeError):
        reporting.write(FullStream(errno.EPIPE), "text")


def test_a_trace_that_cannot_be_written_does_not_end_a_training(tmp_path, monkeypatch, capsys):
    def full(*_, **__):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    profiler = StepProfiler(str(tmp_path), ProfiledSteps(1, 1), TrainingLength(1, 2))
    monkeypatch.setattr(tf.profiler.experimental, "stop", full)
    profiler._is_running = True
    profiler._stop_after(1)
    assert "the trace of the steps cannot be written (No space" in capsys.readouterr().err
