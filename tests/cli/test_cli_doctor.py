# SPDX-License-Identifier: Apache-2.0
"""`mixer doctor`: its findings on this machine, and the exit code."""

from mixer_tf import doctor
from mixer_tf.doctor import Finding, Level


def test_findings_are_shown_with_their_fix_and_problems_set_the_exit_code(mixer, monkeypatch):
    def check():
        yield Finding(Level.OK, "Python 3.10")
        yield Finding(Level.NOTE, "no Docker", "install it")
        yield Finding(Level.PROBLEM, "no TensorFlow", "make setup")

    monkeypatch.setattr(doctor, "CHECKS", (check,))
    result = mixer("doctor")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "ok       Python 3.10",
        "note     no Docker",
        "           fix: install it",
        "problem  no TensorFlow",
        "           fix: make setup",
    ]
    assert result.stderr == "Error: 1 problem found.\n"


def test_every_check_runs_here(mixer):
    result = mixer("doctor")
    assert isinstance(result.exception, SystemExit | None)
    for word in ("Python 3.10", "TensorFlow 2.15", "GPU", "memory", "disk", "Docker"):
        assert word in result.output
