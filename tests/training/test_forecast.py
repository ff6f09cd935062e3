# SPDX-License-Identifier: Apache-2.0
"""The speed and the duration of a training that are shown after its first ten seconds."""

import io

import pytest

from mixer_tf.training import callbacks, timing
from mixer_tf.training.forecast import Forecast, planned_line, speed_line
from mixer_tf.training.length import TrainingLength

PLANNED = Forecast(5100, 0.12)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "about 1 h 20 min in all"),
        ({"lacks_evaluations": True}, "about 1 h 20 min in all, without the evaluations"),
        (
            {"planned": PLANNED},
            "about 1 h 20 min in all (planned: 533 images/s, 1 h 25 min)",
        ),
        (
            {"planned": PLANNED, "resumed": True},
            "about 1 h 20 min for the rest (planned: 533 images/s)",
        ),
    ],
)
def test_one_line_says_speed_and_duration(options, expected):
    line = speed_line(Forecast(4800, 64 / 540), 64, **options)
    assert line == f"speed    540 images/s; {expected}"


def test_a_plan_is_shown_before_the_start():
    assert planned_line(PLANNED, 64) == "expected 533 images/s; about 1 h 25 min in all"


def test_a_slow_training_has_digits_behind_the_point():
    assert speed_line(Forecast(4 * 86_400, 20), 64).startswith("speed    3.2 images/s; about 4 d")


class Clock:
    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now


def run(monkeypatch, stream, first_epoch=0, **options):
    """Eight epochs of 3 steps of 2 s, a quarter of it after the step, and of 1 s at the end.

    The first step takes 5 s and is followed by 3 s; the first end of an epoch takes 6 s.
    """
    clock, length = Clock(), TrainingLength(8, 24)
    monkeypatch.setattr(timing, "time", clock)
    times = timing.StepTimes(length, clock.now)
    calls = (times, callbacks.SpeedLine(times, 6, stream=stream, **options))

    def call(name, *arguments):
        for each in calls:
            getattr(each, name)(*arguments)

    after, end = 3.0, 6.0
    for epoch in range(first_epoch, 8):
        call("on_epoch_begin", epoch)
        for batch in range(3):
            call("on_train_batch_begin", batch)
            clock.now += 5.0 if after == 3 else 1.5
            call("on_train_batch_end", batch, {"loss": 1.0})
            clock.now += after
            after = 0.5
        call("on_epoch_end", epoch, {})
        clock.now += end
        end = 1.0
    return times, clock.now - 100


@pytest.mark.parametrize("first_epoch", [0, 3])
def test_what_happens_once_is_not_counted_again(monkeypatch, first_epoch):
    """Neither the first end of an epoch nor what follows the first step; other callbacks count."""
    times, seconds = run(monkeypatch, io.StringIO(), first_epoch)
    assert times.forecast == times.timing.forecast
    assert times.forecast.seconds == pytest.approx(seconds, abs=2)
    assert times.forecast.seconds_per_step == pytest.approx(11 / 6, abs=0.1)
    assert times.timing.seconds_per_step == pytest.approx(11 / 6, abs=0.1)


def test_the_line_is_shown_once(monkeypatch):
    stream = io.StringIO()
    run(monkeypatch, stream, planned=Forecast(50, 3.0), evaluates=True)
    (line,) = stream.getvalue().splitlines()
    assert line.startswith("speed    3.4 images/s; about 1 min in all (planned: 2 images/s, 50 s)")


def test_a_terminal_shows_it_above_the_progress(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    run(monkeypatch, stream := Terminal(), first_epoch=5, resumed=True)
    text = stream.getvalue()
    assert text.startswith("\r\x1b[Kspeed    3.") and text.endswith(" s for the rest\n")
