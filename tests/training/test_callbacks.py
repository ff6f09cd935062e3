# SPDX-License-Identifier: Apache-2.0
import io

import pytest

from mixer_tf.training import callbacks


class Terminal(io.StringIO):
    def isatty(self):
        return True


def run(stream, epochs, first_epoch=0, steps=3, **logs):
    """Calls the callback as Keras does."""
    line = callbacks.ProgressBar(epochs, steps, stream)
    line.on_train_begin()
    for epoch in range(first_epoch, epochs):
        line.on_epoch_begin(epoch)
        for step in range(steps):
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


def test_a_terminal_has_one_line():
    text = run(Terminal(), 20)
    assert text.count("\n") == 1 and text.endswith("\n")
    assert "epoch 1/20  loss 2.0000" in text and "left" in text


def test_speed_is_shown():
    assert "  1,234 images/s" in run(io.StringIO(), 2, examples_per_second=1234.4)


def test_after_a_restart_the_epochs_continue():
    text = run(io.StringIO(), 4, first_epoch=2)
    assert [line.split()[1] for line in text.splitlines()] == ["3/4", "4/4"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0:00"), (75, "1:15"), (3600, "1:00:00"), (7325, "2:02:05")]
)
def test_duration(seconds, text):
    assert callbacks._format_duration(seconds) == text
