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
