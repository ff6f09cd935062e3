# SPDX-License-Identifier: Apache-2.0
import json
import time

import pytest
import tensorflow as tf

from mixer_tf.training import distribution


@pytest.fixture(autouse=True)
def _no_cluster(monkeypatch):
    monkeypatch.delenv("TPU_NAME", raising=False)
    monkeypatch.delenv("TF_CONFIG", raising=False)


@pytest.mark.parametrize("name", ["auto", "default"])
def test_one_device(name):
    assert distribution.create_strategy(name) is tf.distribute.get_strategy()
    assert distribution.is_chief(distribution.create_strategy(name))


def test_mirrored():
    mirrored = distribution.create_strategy("mirrored")
    assert isinstance(mirrored, tf.distribute.MirroredStrategy)
    assert distribution.is_chief(mirrored)


@pytest.mark.parametrize("name", ["mirored", "", "TPU", "gpu:0"])
def test_an_unknown_name_lists_the_known_ones(name):
    with pytest.raises(ValueError, match=f"one of auto, default, .*tpu:NAME.*; got '{name}'"):
        distribution.create_strategy(name)


def test_only_tpu_accepts_a_name():
    with pytest.raises(ValueError, match="only tpu takes a name, .* got 'mirrored:2'"):
        distribution.create_strategy("mirrored:2")


def test_a_tpu_is_found_by_name_zone_and_project(monkeypatch):
    """What the resolver of TensorFlow is asked for; there is no TPU here."""
    asked = []

    def resolver(name, zone=None, project=None):
        asked.append((name, zone, project))
        raise RuntimeError("no such TPU")

    monkeypatch.setattr(tf.distribute.cluster_resolver, "TPUClusterResolver", resolver)
    for strategy, shown in (
        ("tpu", "local"),
        ("tpu:a", "a"),
        ("tpu:a@us-central1-b", "a@us-central1-b"),
        ("tpu:a@us-central1-b@p", "a@us-central1-b@p"),
    ):
        with pytest.raises(ConnectionError, match=f"responds; got '{shown}': no such TPU"):
            distribution.create_strategy(strategy)
    zone = "us-central1-b"
    assert asked == [("local", None, None), ("a", None, None), ("a", zone, None), ("a", zone, "p")]


def test_multi_worker_without_a_cluster_shows_what_to_set():
    with pytest.raises(
        ValueError, match="TF_CONFIG with the addresses of all workers; got TF_CONFIG=None"
    ):
        distribution.create_strategy("multi_worker")


def test_auto_selects_the_cluster(monkeypatch):
    cluster = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(cluster))
    assert distribution._auto() == "multi_worker"


@pytest.mark.parametrize("name", ["default", "mirrored"])
def test_one_machine_of_several_does_not_train_alone(name, two_workers, monkeypatch):
    """Each would write into the folder that all of them share."""
    monkeypatch.setenv("TF_CONFIG", two_workers[1])
    with pytest.raises(ValueError, match=f"{name} must run on one machine; TF_CONFIG lists 2"):
        distribution.create_strategy(name)


def test_auto_selects_the_tpu(monkeypatch):
    monkeypatch.setenv("TPU_NAME", "grpc://localhost:1")
    monkeypatch.setattr(distribution, "CONNECT_SECONDS", 0.5)
    with pytest.raises(ConnectionError, match="got 'grpc://localhost:1'"):
        distribution.create_strategy("auto")


@pytest.mark.parametrize("name", ["tpu", "tpu:grpc://localhost:1"])
def test_no_tpu_is_one_clear_error_soon(name, monkeypatch):
    monkeypatch.setattr(distribution, "CONNECT_SECONDS", 1.0)
    start = time.monotonic()
    with pytest.raises(ConnectionError, match="a TPU that responds; got .*--strategy=default"):
        distribution.create_strategy(name)
    assert time.monotonic() - start < 10


def test_a_batch_that_the_devices_cannot_share_names_the_next_sizes():
    distribution.require_divisible(96, 8)
    with pytest.raises(ValueError, match="got batch_size=100 on 8 devices. Use 96 or 104"):
        distribution.require_divisible(100, 8)
    with pytest.raises(ValueError, match=r"got batch_size=3 on 8 devices. Use 8\."):
        distribution.require_divisible(3, 8)


def test_devices_are_counted_without_a_strategy(monkeypatch):
    assert distribution.count_devices("auto") == distribution.count_devices("default") == 1
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind] * 4)
    assert distribution.count_devices("auto") == distribution.count_devices("mirrored") == 4
    with pytest.raises(ValueError, match="TF_CONFIG with the addresses of all workers"):
        distribution.count_devices("multi_worker")


def test_a_tpu_that_does_not_respond_is_noticed_without_a_strategy(monkeypatch):
    monkeypatch.setattr(distribution, "CONNECT_SECONDS", 0.5)
    with pytest.raises(ConnectionError, match="a TPU that responds; got 'grpc://localhost:1'"):
        distribution.count_devices("tpu:grpc://localhost:1")
