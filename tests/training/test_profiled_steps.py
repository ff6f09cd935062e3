# SPDX-License-Identifier: Apache-2.0
import types

import pytest

from mixer_tf.training.length import TrainingLength
from mixer_tf.training.profiled_steps import ProfiledSteps
from mixer_tf.training.tensorboard.profiling import StepProfiler


def test_a_range_and_a_single_step():
    assert ProfiledSteps.parse("10:20") == ProfiledSteps(10, 20)
    assert ProfiledSteps.parse("7") == ProfiledSteps(7, 7)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the steps to profile must be FIRST:LAST, from 1, .* got ''. Use for example 10:20"),
        ("0:3", "got '0:3'"),
        ("20:10", "got '20:10'"),
        ("10,20", "got '10,20'"),
        ("-1", "got '-1'"),
        ("10:1000", "at most 100 steps can be profiled; got 991. Use for example 10:20"),
    ],
)
def test_anything_else_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        ProfiledSteps.parse(text)


def test_steps_after_the_end_are_refused(tmp_path):
    with pytest.raises(ValueError, match="among the 12 of the training; got 10:20"):
        StepProfiler(str(tmp_path), ProfiledSteps(10, 20), TrainingLength(3, 12))


def test_an_execution_that_holds_the_steps_is_traced(tmp_path, monkeypatch):
    started = []
    for name in ("start", "stop"):
        monkeypatch.setattr(
            f"tensorflow.profiler.experimental.{name}",
            lambda *arguments, name=name, **_: started.append((name, *arguments)),
        )
    profiler = StepProfiler(str(tmp_path), ProfiledSteps(10, 20), TrainingLength(1, 100))
    number = types.SimpleNamespace(numpy=lambda: 50)
    profiler.set_model(types.SimpleNamespace(_steps_per_execution=number))
    profiler.on_train_begin()
    profiler.on_epoch_begin(0)
    assert ("start", str(tmp_path)) in started
