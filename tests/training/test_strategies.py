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


@pytest.mark.parametrize("word", ["auto", "default"])
def test_one_device(word):
    assert distribution.create_strategy(word) is tf.distribute.get_strategy()
    assert distribution.is_chief(distribution.create_strategy(word))


def test_mirrored():
    mirrored = distribution.create_strategy("mirrored")
    assert isinstance(mirrored, tf.distribute.MirroredStrategy)
    assert distribution.is_chief(mirrored)


@pytest.mark.parametrize("word", ["mirored", "", "TPU", "gpu:0"])
def test_an_unknown_word_lists_the_known(word):
    with pytest.raises(ValueError, match=f"one of auto, default, .*tpu:NAME; got '{word}'"):
        distribution.create_strategy(word)


def test_only_tpu_takes_a_name():
    with pytest.raises(ValueError, match="only tpu takes a name, .* got 'mirrored:2'"):
        distribution.create_strategy("mirrored:2")


def test_multi_worker_without_a_cluster_shows_what_to_set():
    with pytest.raises(ValueError, match="TF_CONFIG with the addresses .*got TF_CONFIG=None"):
        distribution.create_strategy("multi_worker")


def test_auto_takes_the_cluster(monkeypatch):
    cluster = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(cluster))
    assert distribution._auto() == "multi_worker"


def test_auto_takes_the_tpu(monkeypatch):
    monkeypatch.setenv("TPU_NAME", "grpc://localhost:1")
    monkeypatch.setattr(distribution, "CONNECT_SECONDS", 0.5)
    with pytest.raises(ConnectionError, match="got 'grpc://localhost:1'"):
        distribution.create_strategy("auto")


@pytest.mark.parametrize("word", ["tpu", "tpu:grpc://localhost:1"])
def test_no_tpu_is_one_clear_error_soon(word, monkeypatch):
    monkeypatch.setattr(distribution, "CONNECT_SECONDS", 1.0)
    start = time.monotonic()
    with pytest.raises(ConnectionError, match="a TPU that answers; got .*--strategy=default"):
        distribution.create_strategy(word)
    assert time.monotonic() - start < 10
