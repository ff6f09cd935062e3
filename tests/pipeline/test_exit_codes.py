# SPDX-License-Identifier: Apache-2.0
"""What a shell script learns from a run: its exit code, and that the root is in use."""

import threading

import pytest
from click.testing import CliRunner

from mixer_tf import locks
from pipeline import local_runner


def invoke(*arguments: str):
    return CliRunner().invoke(local_runner.main, ["--verbose", *arguments])


@pytest.mark.parametrize(
    ("pushed_model", "arguments", "code"),
    [
        ("/serving/1", [], 0),
        ("/serving/1", ["--require-push"], 0),
        (None, [], 0),
        (None, ["--require-push"], 3),
    ],
)
def test_a_run_without_a_push_can_be_told_from_one_with(monkeypatch, pushed_model, arguments, code):
    monkeypatch.setattr(local_runner, "_run", lambda options: pushed_model)
    assert invoke(*arguments).exit_code == code


def test_ctrl_c_gives_the_exit_code_of_a_shell(monkeypatch):
    def stop(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(local_runner, "_run", stop)
    result = invoke()
    assert result.exit_code == 130
    assert "the same command resumes the run" in result.output


def test_exit_codes_are_documented():
    text = invoke("--help").output
    for code in (0, 1, local_runner.NOTHING_PUSHED, local_runner.INTERRUPTED):
        assert f"\n    {code:<4} " in text


def test_a_root_in_use_is_refused_before_anything_is_read(tmp_path, monkeypatch):
    def fail(*_):
        raise AssertionError("the source was opened")

    monkeypatch.setattr("mixer_tf.datasets.sources.opening.open_source", fail)
    results = []
    root = tmp_path / "root"
    with locks.exclusive(str(root), ""):
        run = threading.Thread(target=lambda: results.append(invoke(f"--root={root}")))
        run.start()
        run.join()
    assert results[0].exit_code == 1
    assert isinstance(results[0].exception, ValueError)
    assert str(results[0].exception).endswith("or give this run a --root of its own.")
