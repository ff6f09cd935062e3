# SPDX-License-Identifier: Apache-2.0
"""Several devices and several machines train the same model as one device does.

Each case has processes of its own: a failure in a distributed process poisons later ones.
"""

import os
import pickle
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from mixer_tf.training import trainer
from mixer_tf.training.checkpoint_options import CheckpointOptions
from mixer_tf.training.input.split import open_splits

# On two busy cores, several processes take turns.
pytestmark = pytest.mark.timeout(1800)


_PROGRAM = """
import pickle, sys
import numpy as np
import tensorflow as tf
from mixer_tf.training import exporting, trainer

recipe, devices, splits, output, arguments, weights_path = pickle.load(sys.stdin.buffer)
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * devices)
if devices > 1:
    create = tf.distribute.MirroredStrategy
    tf.distribute.MirroredStrategy = lambda: create([f"CPU:{i}" for i in range(devices)])
result = trainer.fit(recipe, splits["train"], splits["eval"], **arguments)
exporting.export_fitted(result, list("abc"), output)
with open(weights_path, "wb") as file:
    pickle.dump((result.accuracy, result.notes, result.model.get_weights()), file)
"""


@pytest.fixture(scope="module")
def long_recipe(recipe):
    rates = "optimizer.layer_rates=stem=0.1,block_*=0.5"
    return recipe.override(["training.epochs=3", "data.mixup=0", "optimizer.ema=0.5", rates])


@pytest.fixture(scope="module")
def alone(long_recipe, dataset, tmp_path_factory):
    """Accuracy and weights of a training on one device."""
    folder = str(tmp_path_factory.mktemp("alone"))
    splits = open_splits(dataset.folder, dataset.info)
    result = trainer.fit(
        long_recipe, splits["train"], splits["eval"], **arguments(folder, "default")
    )
    return result.accuracy, result.model.get_weights()


def arguments(folder, strategy):
    return {
        "checkpoint_dir": os.path.join(folder, "checkpoints"),
        "strategy": strategy,
        "verbose": False,
    }


def start(recipe, dataset, devices, training, weights_path, **environment):
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **environment},
    )
    splits, output = open_splits(dataset.folder, dataset.info), str(weights_path.parent / "model")
    task = (recipe, devices, splits, output, training, str(weights_path))
    process.stdin.write(pickle.dumps(task))
    process.stdin.close()
    process.stdin = None
    return process


def finish(process, weights_path):
    """Returns accuracy, notes and weights."""
    _, errors = process.communicate(timeout=1500)
    assert process.returncode == 0, errors.decode()[-3000:]
    return pickle.loads(weights_path.read_bytes())


def assert_close(weights, others):
    for weight, other in zip(weights, others, strict=True):
        np.testing.assert_allclose(weight, other, atol=1e-3)


@pytest.mark.slow
def test_two_devices_train_the_same_model(alone, long_recipe, dataset, tmp_path):
    options = long_recipe.override(["training.jit_compile=true", "training.recompute=true"])
    training = arguments(str(tmp_path), "mirrored")
    process = start(options, dataset, 2, training, tmp_path / "weights")
    accuracy, notes, weights = finish(process, tmp_path / "weights")
    assert accuracy == pytest.approx(alone[0])
    assert_close(weights, alone[1])
    assert notes[0] == "jit_compile is off: XLA cannot join several CPU devices."
    assert (tmp_path / "model" / "saved_model.pb").exists()


@pytest.mark.slow
def test_two_machines_train_the_same_model(alone, long_recipe, dataset, tmp_path, two_workers):
    processes = []
    for index, tf_config in enumerate(two_workers):
        training = arguments(str(tmp_path), "multi_worker")
        path = tmp_path / f"weights{index}"
        processes.append(start(long_recipe, dataset, 1, training, path, TF_CONFIG=tf_config))
    chief, other = [
        finish(process, tmp_path / f"weights{index}") for index, process in enumerate(processes)
    ]
    assert chief[0] == other[0] == pytest.approx(alone[0])
    assert_close(chief[2], alone[1])
    assert sorted(os.listdir(tmp_path)) == ["model", "weights0", "weights1"]


@pytest.mark.slow
def test_a_signal_to_one_machine_stops_both_and_both_resume(
    long_recipe, dataset, tmp_path, two_workers
):
    """With the weights and the metrics of an undisturbed training on two machines."""
    recipe = long_recipe.override(["training.epochs=20"])

    def start_both(folder):
        folder.mkdir(exist_ok=True)
        training = arguments(str(folder), "multi_worker")
        training["checkpoints"] = CheckpointOptions(steps=10)
        return [
            start(recipe, dataset, 1, training, folder / f"weights{index}", TF_CONFIG=tf_config)
            for index, tf_config in enumerate(two_workers)
        ]

    def finish_both(folder):
        processes = start_both(folder)
        return [finish(p, folder / f"weights{index}") for index, p in enumerate(processes)]

    (whole, _) = finish_both(tmp_path / "a")
    processes, saved = start_both(tmp_path / "b"), tmp_path / "b" / "checkpoints"
    deadline = time.monotonic() + 600
    while not list(saved.glob("step-*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    processes[1].send_signal(signal.SIGTERM)
    for process in processes:
        _, errors = process.communicate(timeout=600)
        assert b"TrainingStopped: Stopped by SIGTERM after step " in errors, errors[-3000:]
        assert b", which is saved; the same command resumes" in errors
    assert not (tmp_path / "b" / "weights0").exists()
    (resumed, _) = finish_both(tmp_path / "b")
    assert resumed[0] == whole[0]
    for weight, expected in zip(resumed[2], whole[2], strict=True):
        np.testing.assert_array_equal(weight, expected)
