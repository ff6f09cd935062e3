# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C and SIGTERM to `mixer sweep`: the training that runs saves, and the search resumes."""

import os
import signal
import subprocess
import sys

import pytest
from harness import wait_for

# On two busy cores, several processes take turns.
pytestmark = pytest.mark.timeout(1800)


def from_terminal(process):
    """Ctrl-C, which a terminal sends to all processes of the foreground."""
    os.killpg(process.pid, signal.SIGINT)


def from_supervisor(process):
    """What a cluster sends to the process that it has started, and to no other."""
    os.kill(process.pid, signal.SIGTERM)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stop", "code", "line"),
    [
        (from_terminal, 130, "Stopped; the same command resumes the search."),
        (from_supervisor, 143, "Stopped by SIGTERM; the same command resumes the search."),
    ],
)
def test_the_training_saves_once(image_folder, tmp_path, tiny_options, stop, code, line):
    output = tmp_path / "sweep"
    arguments = ["sweep", f"--source=folder:{image_folder}", f"--output={output}", *tiny_options]
    arguments += ["--set=training.epochs=1000000", "--grid=optimizer.learning_rate=0.001,0.002"]
    process = subprocess.Popen(
        [sys.executable, "-m", "mixer_tf.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_for(lambda: list(output.glob("trials/*/checkpoints/step-*")))
    stop(process)
    printed, errors = process.communicate(timeout=600)
    assert process.returncode == code, errors
    assert errors.strip().splitlines()[-1] == line and "finishes its step and saves" in errors
    (trial,) = (output / "trials").iterdir()  # the second one was not started
    said = (trial / "output.txt").read_text()
    assert "Traceback" not in said and ", which is saved; the same command resumes" in said, said
    steps = said.split(" after step ")[1].split()[0].replace(",", "")
    assert list(trial.glob(f"checkpoints/step-{int(steps):010d}-*"))
    assert "1/2" not in printed, "a stopped training is no result"
