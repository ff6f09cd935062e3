# SPDX-License-Identifier: Apache-2.0
"""`mixer train` on two machines: where one is killed, the other says so, and both resume."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from mixer_tf.export.loading import open_export

# On two busy cores, several processes take turns.
pytestmark = pytest.mark.timeout(1800)


_OPTIONS = ("training.epochs=10", "optimizer.ema=0.8", "data.mixup=0.3", "data.flip=true")
# TensorFlow notices a killed process at once, and one that is only silent after 10 s.
_SECONDS = 60


@pytest.fixture
def start_both(image_folder, tiny_options, two_workers):
    """Starts the same command with an output on two workers."""
    options = [word for option in _OPTIONS for word in ("--set", option)]
    processes = []

    def start(output):
        arguments = ["train", f"--source=folder:{image_folder}", f"--output={output}"]
        arguments += ["--strategy=multi_worker", "--checkpoint-steps=10", *tiny_options, *options]
        both = [
            subprocess.Popen(
                [sys.executable, "-m", "mixer_tf.cli", *arguments],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, "TF_CONFIG": tf_config},
            )
            for tf_config in two_workers
        ]
        processes.extend(both)
        return both

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def saved_step(output):
    """The number in the name of the last complete checkpoint; 0 without one."""
    states = (output / "checkpoints").glob("step-*/state.json")
    return max((int(path.parent.name.split("-")[1]) for path in states), default=0)


def wait_for_more(output, before, processes):
    deadline = time.monotonic() + 300
    while saved_step(output) <= before and time.monotonic() < deadline:
        assert [process.poll() for process in processes] == [None, None]
        time.sleep(0.01)


def finish(processes, output):
    for process in processes:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
    return open_export(str(output / "serving" / "1")).model.get_weights()


@pytest.mark.slow
def test_the_survivor_says_who_is_lost_and_both_resume(start_both, two_workers, tmp_path):
    """With the weights of an undisturbed training; killed is first the second worker."""
    whole = finish(start_both(tmp_path / "whole"), tmp_path / "whole")
    output = tmp_path / "output"
    addresses = json.loads(two_workers[0])["cluster"]["worker"]
    for victim in (1, 0):
        before, processes = saved_step(output), start_both(output)
        wait_for_more(output, before, processes)
        processes[victim].send_signal(signal.SIGKILL)
        _, errors = processes[1 - victim].communicate(timeout=_SECONDS)
        assert processes[1 - victim].returncode == 1
        assert errors.splitlines()[-1] == (
            f"Error: all workers must run until the end; worker {victim} ({addresses[victim]}) "
            "failed or cannot be reached. Look for the reason in the messages there; the same "
            "command on all machines resumes from the last checkpoint."
        )
        assert "Traceback" not in errors and "WARNING" not in errors, errors
        assert saved_step(output) > before and not (output / "serving").exists()
    resumed = finish(start_both(output), output)
    for weight, expected in zip(resumed, whole, strict=True):
        np.testing.assert_array_equal(weight, expected)
