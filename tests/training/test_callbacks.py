# SPDX-License-Identifier: Apache-2.0
import io
import itertools
import types

import pytest
import tensorflow as tf

from mixer_tf.training import callbacks, timing
from mixer_tf.training.length import TrainingLength


class Terminal(io.StringIO):
    def isatty(self):
        return True


def run(stream, epochs, first_epoch=0, steps=3, done=0, **logs):
    """Calls the callback as Keras does; `done` steps of the first epoch were done before."""
    length = TrainingLength(epochs, epochs * steps)
    line = callbacks.ProgressBar(length, stream=stream)
    line.on_train_begin()
    for epoch in range(first_epoch, epochs):
        line.on_epoch_begin(epoch)
        for step in range(done if epoch == first_epoch else 0, steps):
            line.on_train_batch_end(step, {"loss": 2.0})
        line.on_epoch_end(epoch, {"loss": 1.5, "val_accuracy": 0.75, **logs})
    line.on_train_end()
    return stream.getvalue()


@pytest.mark.parametrize(("epochs", "lines"), [(1, 1), (7, 7), (10, 10), (40, 10), (301, 10)])
def test_a_stream_that_is_not_a_terminal_gets_about_ten_lines(epochs, lines):
    text = run(io.StringIO(), epochs)
    assert lines <= text.count("\n") <= lines + 1
    assert text.splitlines()[-1] == f"epoch {epochs}/{epochs}  loss 1.5000  eval accuracy 0.750"
    assert "\r" not in text and "\x1b" not in text


def test_a_long_epoch_has_lines_too(monkeypatch):
    """A day on one epoch once left a log file empty until its end."""
    clock = itertools.count(0, 45)
    monkeypatch.setattr(callbacks.time, "monotonic", lambda: float(next(clock)))
    lines = run(io.StringIO(), epochs=40, steps=50).splitlines()
    assert len(lines) > 40 * 50 // 4
    assert lines[0] == "epoch 1/40  loss 2.0000"  # the first step, which does not count
    assert lines[1].startswith("epoch 1/40  loss 2.0000") and "left" in lines[1]
    assert sum("loss 1.5000" in line for line in lines) > 10


def test_a_terminal_has_one_line():
    text = run(Terminal(), 20)
    assert text.count("\n") == 1 and text.endswith("\n")
    assert "epoch 1/20  loss 2.0000" in text and "left" in text


def test_speed_is_shown():
    assert "  1,234 images/s" in run(io.StringIO(), 2, examples_per_second=1234.4)


def test_within_an_epoch_the_line_shows_speed_and_time_left_without_the_first_step(monkeypatch):
    """The first step compiles: 90 s, and then 19 steps of 2 s."""
    clock = types.SimpleNamespace(now=0.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(callbacks, "time", clock)
    monkeypatch.setattr(timing, "time", clock)
    length = TrainingLength(1, 20)
    times = timing.StepTimes(length, 0.0)
    bar = callbacks.ProgressBar(length, times, batch_size=600, stream=Terminal())
    bar.on_train_begin()
    shown = []
    for step, seconds in enumerate([90.0, 2.0, 2.0]):
        for each in (times, bar):
            each.on_epoch_begin(0) if step == 0 else None
        times.on_train_batch_begin(step)
        clock.now += seconds
        for each in (times, bar):
            each.on_train_batch_end(step, {"loss": 2.0})
        shown.append(bar._stream.getvalue().split("\x1b[K")[-1])
    assert shown[0] == "epoch 1/1  loss 2.0000"
    assert shown[1] == "epoch 1/1  loss 2.0000  0:36 left  300 images/s"
    assert shown[2] == "epoch 1/1  loss 2.0000  0:34 left  300 images/s"


def test_after_a_restart_the_epochs_continue():
    text = run(io.StringIO(), 4, first_epoch=2)
    assert [line.split()[1] for line in text.splitlines()] == ["3/4", "4/4"]


@pytest.mark.parametrize("done", [1, 3])
def test_after_a_restart_within_an_epoch_the_epochs_continue(done):
    """Also where only the evaluation is left to do."""
    text = run(io.StringIO(), 4, first_epoch=2, done=done)
    assert [line.split()[1] for line in text.splitlines()] == ["3/4", "4/4"]


def test_throughput_counts_the_steps_after_the_first_one(monkeypatch):
    class Model:
        class optimizer:
            learning_rate = tf.constant(0.5)

    times = iter([10.0, 11.0, 12.0, 14.0, 20.0])  # the second: when the second step begins
    monkeypatch.setattr(callbacks.time, "monotonic", lambda: next(times))
    throughput = callbacks.Throughput(batch_size=6)
    throughput.model = Model
    for epoch, steps, expected in ((1, [4, 5, 6], 4.0), (2, [0], None), (3, [], None)):
        throughput.on_epoch_begin(epoch)
        for step in steps:
            throughput.on_train_batch_begin(step)
            throughput.on_train_batch_end(step)
        throughput.on_epoch_end(epoch, logs := {})
        assert (logs.get("examples_per_second"), logs["learning_rate"]) == (expected, 0.5)


def test_the_advice_after_a_divergence_is_a_third_of_the_peak():
    def number(value):
        return types.SimpleNamespace(numpy=lambda: value)

    optimizer = types.SimpleNamespace(
        peak_learning_rate=0.003, learning_rate=number(0.0), iterations=number(1)
    )
    callback = callbacks.TerminateOnDivergence()
    callback.set_model(types.SimpleNamespace(optimizer=optimizer))
    callback.on_epoch_begin(0)
    with pytest.raises(callbacks.TrainingDivergedError, match="optimizer.learning_rate=0.001"):
        callback.on_train_batch_end(0, {"loss": float("nan")})
