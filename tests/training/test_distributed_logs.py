# SPDX-License-Identifier: Apache-2.0
"""Several devices and several machines log what one device does."""

import os

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from test_distributed_training import arguments, finish, start

from mixer_tf.training.tensorboard.confusion import ConfusionMatrix


def read_tags(folder) -> dict[str, list]:
    events = EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
    return {tag: events.Tensors(tag) for tag in events.Tags()["tensors"]}


def train(recipe, dataset, folder, strategy: str, environments, devices: int = 1) -> dict:
    """Trains in one process for each environment, and returns the logs of the first one."""
    processes = []
    for index, environment in enumerate(environments):
        training = {**arguments(str(folder), strategy), "log_dir": str(folder / f"logs{index}")}
        path = folder / f"weights{index}"
        processes.append(start(recipe, dataset, devices, training, path, **environment))
    for index, process in enumerate(processes):
        finish(process, folder / f"weights{index}")
    for index in range(1, len(processes)):
        assert not (folder / f"logs{index}").exists(), "only the chief logs"
    return read_tags(folder / "logs0")


@pytest.fixture(scope="module")
def alone(recipe, dataset, tmp_path_factory):
    return train(recipe, dataset, tmp_path_factory.mktemp("alone"), "default", [{}])


def assert_same_logs(logs, expected) -> None:
    assert set(logs) == set(expected)
    for tag in ("train/loss", "eval/loss", "eval/top_1", "weights/norm", "train/gradient_norm"):
        values = [[tf.make_ndarray(e.tensor_proto) for e in each[tag]] for each in (logs, expected)]
        np.testing.assert_allclose(*values, rtol=1e-3, err_msg=tag)
    plots = [
        [e.tensor_proto.string_val[2] for e in each["eval/confusion"]] for each in (logs, expected)
    ]
    assert plots[0] == plots[1]


@pytest.mark.slow
def test_two_devices_log_what_one_does(alone, recipe, dataset, tmp_path):
    assert_same_logs(train(recipe, dataset, tmp_path, "mirrored", [{}], devices=2), alone)


@pytest.mark.slow
def test_of_two_machines_the_chief_logs_for_both(alone, recipe, dataset, tmp_path, two_workers):
    environments = [{**os.environ, "TF_CONFIG": tf_config} for tf_config in two_workers]
    logs = train(recipe, dataset, tmp_path, "multi_worker", environments)
    assert_same_logs(logs, alone)


def test_padding_is_not_counted():
    matrix = ConfusionMatrix(3)
    labels, logits = np.eye(3)[[0, 1, 1, 0]], np.eye(3)[[0, 2, 1, 0]]
    matrix.update_state(labels, logits, np.array([0.5, 0.5, 0.5, 0.0]))
    matrix.update_state(labels[:1], logits[:1])
    np.testing.assert_array_equal(matrix.result(), [[2, 0, 0], [0, 1, 1], [0, 0, 0]])
    matrix.reset_state()
    assert np.sum(matrix.result()) == 0
