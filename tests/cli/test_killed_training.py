# SPDX-License-Identifier: Apache-2.0
"""`mixer train`, killed or stopped at any moment and started again, ends as if nothing had been."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mixer_tf.export.loading import open_export

# On two busy cores, several processes take turns.
pytestmark = pytest.mark.timeout(1800)


_OPTIONS = [
    *("training.epochs=6", "optimizer.ema=0.8", "optimizer.warmup_steps=4", "data.mixup=0.3"),
    *("model.dropout=0.1", "model.stochastic_depth=0.3", "data.flip=true"),
]

# Kills the process when a function is called for the n-th time.
_PROGRAM = """
import importlib, os, signal, sys

where, count, *arguments = sys.argv[1:]
module, _, name = where.partition(":")
owner = importlib.import_module(module)
*parents, name = name.split(".")
for parent in parents:
    owner = getattr(owner, parent)
original, calls = getattr(owner, name), []

def replaced(*args, **kwargs):
    calls.append(1)
    if len(calls) == int(count):
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*args, **kwargs)

setattr(owner, name, replaced)
from mixer_tf.cli import main
main(arguments)
"""

# Where it is killed, one after the other: before the n-th call of a function.
_MOMENTS = {
    "data, and within an epoch": [
        ("mixer_tf.features:ImageRecord.to_example", 20),
        ("mixer_tf.datasets.info:DatasetInfo.write", 1),
        ("mixer_tf.training.checkpointing:TrainingCheckpoint.on_train_batch_end", 6),
    ],
    "parts of a checkpoint": [
        ("mixer_tf.training.checkpoint_files:CheckpointFiles.write", 2),
        ("mixer_tf.storage:write_text", 3),  # its tensors are written, its state is not
        ("os:rename", 3),
        ("mixer_tf.training.checkpoint_files:CheckpointFiles.remove", 2),
    ],
    "evaluation and export": [
        ("mixer_tf.training.callbacks:History.on_epoch_end", 5),  # logged, not in a checkpoint
        ("mixer_tf.training.checkpointing:TrainingCheckpoint.on_test_batch_end", 2),
        ("mixer_tf.export.saved_model:export_saved_model", 1),
        ("mixer_tf.export.warmup:write", 1),
        ("mixer_tf.training.checkpoint_files:CheckpointFiles.discard", 1),
        ("mixer_tf.reports.training_folder:write_card", 1),
    ],
}


def command(image_folder, output, tiny_options):
    options = [word for option in _OPTIONS for word in ("--set", option)]
    output = f"--output={output}"
    source = f"--source=folder:{image_folder}"
    return ["train", source, output, "--checkpoint-steps=2", *tiny_options, *options]


def run(arguments, **options):
    program = [sys.executable, "-m", "mixer_tf.cli", *arguments]
    return subprocess.run(program, capture_output=True, text=True, **options)


def result(output):
    """Weights, metrics and the steps in TensorBoard with their values."""
    found = {}
    (run,) = (output / "logs").iterdir()
    events = EventAccumulator(str(run), size_guidance={"tensors": 0})
    events.Reload()
    for tag in events.Tags()["tensors"]:
        # Times, which are also missing where less than two steps of an epoch were left.
        if tag not in ("train/images_per_second", "train/input_wait"):
            found[tag] = [
                (
                    event.step,
                    tuple(event.tensor_proto.float_val) or event.tensor_proto.tensor_content,
                )
                for event in events.Tensors(tag)
            ]
    assert {"train/loss", "eval/top_1"} <= set(found)
    return open_export(str(output / "serving" / "1")).model.get_weights(), found


@pytest.fixture(scope="module")
def undisturbed(image_folder, tmp_path_factory, tiny_options):
    output = tmp_path_factory.mktemp("undisturbed") / "output"
    done = run(command(image_folder, output, tiny_options))
    assert done.returncode == 0, done.stderr
    return result(output)


def assert_same(output, undisturbed):
    weights, logs = result(output)
    for weight, expected in zip(weights, undisturbed[0], strict=True):
        np.testing.assert_array_equal(weight, expected)
    assert logs == undisturbed[1]
    assert not (output / "checkpoints").exists()


@pytest.mark.slow
@pytest.mark.parametrize("moments", _MOMENTS)
def test_killed_at_every_kind_of_moment(image_folder, tmp_path, tiny_options, undisturbed, moments):
    arguments = command(image_folder, tmp_path / "output", tiny_options)
    for where, count in _MOMENTS[moments]:
        program = [sys.executable, "-c", _PROGRAM, where, str(count), *arguments]
        killed = subprocess.run(program, capture_output=True, text=True)
        assert killed.returncode == -signal.SIGKILL, (where, killed.stdout, killed.stderr)
        assert "Traceback" not in killed.stderr and "WARNING" not in killed.stderr, killed.stderr
    done = run(arguments)
    assert done.returncode == 0, done.stderr
    assert_same(tmp_path / "output", undisturbed)


@pytest.mark.slow
def test_killed_at_random_moments(image_folder, tmp_path, tiny_options, undisturbed):
    arguments = command(image_folder, tmp_path / "output", tiny_options)
    times, kills = random.Random(0), 0
    for _ in range(8):
        program = [sys.executable, "-m", "mixer_tf.cli", *arguments]
        process = subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            assert process.wait(times.uniform(3, 10)) == 0
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
    else:
        assert run(arguments).returncode == 0
    assert kills
    assert_same(tmp_path / "output", undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_and_the_same_command_resumes(
    image_folder, tmp_path, tiny_options, undisturbed, number, code
):
    arguments = command(image_folder, tmp_path / "output", tiny_options)
    program = [sys.executable, "-m", "mixer_tf.cli", *arguments]
    process = subprocess.Popen(program, stderr=subprocess.PIPE, text=True)
    saved, deadline = tmp_path / "output" / "checkpoints", time.monotonic() + 300
    while not list(saved.glob("step-*")) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == code, errors
    name = "" if number == signal.SIGINT else " by SIGTERM"
    assert errors.strip().startswith(f"Stopped{name} after step "), errors
    assert errors.strip().endswith(", which is saved; the same command resumes the training.")
    steps = {json.loads(path.read_text())["step"] for path in saved.glob("step-*/state.json")}
    assert int(errors.split("after step ")[1].split()[0]) == max(steps)
    assert run(arguments, env=os.environ).returncode == 0
    assert_same(tmp_path / "output", undisturbed)
