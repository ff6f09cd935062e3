# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from mixer_tf.training import cluster

TWO_WORKERS = {"worker": ["a:1", "b:1"]}
WITH_CHIEF = {"chief": ["a:1"], "worker": ["b:1", "c:1"]}


def set_task(monkeypatch, workers: dict, kind: str, index: int) -> None:
    config = {"cluster": workers, "task": {"type": kind, "index": index}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))


@pytest.mark.parametrize("value", [None, ""])
def test_without_tf_config_a_process_is_alone(monkeypatch, value):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if value is not None:
        monkeypatch.setenv("TF_CONFIG", value)
    assert cluster.num_workers() == 0 and cluster.is_chief()


@pytest.mark.parametrize(
    ("workers", "kind", "index", "is_chief"),
    [
        (TWO_WORKERS, "worker", 0, True),
        (TWO_WORKERS, "worker", 1, False),
        (WITH_CHIEF, "chief", 0, True),
        (WITH_CHIEF, "worker", 0, False),
    ],
)
def test_one_process_is_the_chief(monkeypatch, workers, kind, index, is_chief):
    set_task(monkeypatch, workers, kind, index)
    assert cluster.is_chief() is is_chief
    assert cluster.num_workers() == sum(map(len, workers.values()))
    assert cluster.worker_name() == f"{kind}_{index}"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mirrored", ("mirrored", cluster.TPUAddress())),
        ("tpu", ("tpu", cluster.TPUAddress())),
        ("tpu:my-tpu", ("tpu", cluster.TPUAddress("my-tpu"))),
        ("tpu:grpc://10.0.0.2:8470", ("tpu", cluster.TPUAddress("grpc://10.0.0.2:8470"))),
        ("tpu:t@us-central1-b", ("tpu", cluster.TPUAddress("t", "us-central1-b"))),
        ("tpu:t@us-central1-b@p", ("tpu", cluster.TPUAddress("t", "us-central1-b", "p"))),
    ],
)
def test_a_strategy_may_name_a_tpu_with_zone_and_project(name, expected):
    assert cluster.parse_strategy(name) == expected


@pytest.mark.parametrize("name", ["tpu:t@", "tpu:@zone", "tpu:t@@p", "tpu:t@zone@p@more"])
def test_half_an_address_shows_how_to_write_it(name):
    with pytest.raises(ValueError, match=f"tpu:NAME@ZONE@PROJECT; got '{name}'. Write for example"):
        cluster.parse_strategy(name)


def test_an_address_needs_no_zone():
    with pytest.raises(ValueError, match="without zone and project; .* Use tpu:grpc://a:1"):
        cluster.parse_strategy("tpu:grpc://a:1@us-central1-b")


@pytest.mark.parametrize("value", ["{cluster", "[]", '{"cluster": {"worker": "host0:2222"}}'])
def test_a_malformed_tf_config_is_named(monkeypatch, value):
    monkeypatch.setenv("TF_CONFIG", value)
    with pytest.raises(ValueError, match="TF_CONFIG must be a JSON object"):
        cluster.num_workers()


def test_an_index_may_be_a_string_as_in_tensorflow(monkeypatch):
    set_task(monkeypatch, TWO_WORKERS, "worker", "0")
    assert cluster.is_chief() and cluster.own_address() == "a:1"
    assert cluster.worker_name() == cluster.chief_name() == "worker_0"
    set_task(monkeypatch, TWO_WORKERS, "worker", "1")
    assert not cluster.is_chief() and cluster.own_address() == "b:1"
    assert list(cluster.other_workers()) == ["worker_0"]
    set_task(monkeypatch, TWO_WORKERS, "worker", "one")
    with pytest.raises(ValueError, match="index of the task in TF_CONFIG must be an integer; got"):
        cluster.is_chief()
