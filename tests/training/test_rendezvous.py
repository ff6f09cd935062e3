# SPDX-License-Identifier: Apache-2.0
"""Workers wait for each other before TensorFlow does, with a line that names the missing ones."""

import json
import socket
import subprocess
import sys
import time

import pytest

from mixer_tf.training import cluster, rendezvous

_PROGRAM = """
import os, sys
from mixer_tf.training import rendezvous
rendezvous.SHOW_SECONDS, rendezvous.WAIT_SECONDS = float(sys.argv[1]), float(sys.argv[2])
try:
    rendezvous.wait_for_all()
except ConnectionError as error:
    sys.exit(str(error))
print("all there")
assert "tensorflow" not in sys.modules
"""


def start(tf_config, show=0.0, wait=30.0):
    return subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(show), str(wait)],
        env={"TF_CONFIG": tf_config, "PYTHONPATH": ":".join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("first", [0, 1])
def test_the_first_waits_and_both_go(two_workers, first):
    processes = {first: start(two_workers[first])}
    line = processes[first].stderr.readline()
    addresses = json.loads(two_workers[0])["cluster"]["worker"]
    missing = 1 - first
    assert line == f"waiting for worker {missing} ({addresses[missing]}), 30 s at most\n"
    processes[missing] = start(two_workers[missing], show=9.0)
    for process in processes.values():
        assert process.communicate(timeout=60) == ("all there\n", "")
        assert process.returncode == 0


@pytest.mark.parametrize("index", [0, 1])
def test_a_worker_that_never_comes_is_named(two_workers, index):
    output, errors = start(two_workers[index], show=9.0, wait=0.5).communicate(timeout=60)
    address = json.loads(two_workers[0])["cluster"]["worker"][1 - index]
    assert not output
    assert errors.startswith(
        f"all workers must start within 0 s; worker {1 - index} ({address}) did not respond."
    )


def test_a_worker_that_died_while_it_waited_does_not_count(two_workers):
    """Of three, the last one starts only after the second one has died."""
    with socket.create_server(("localhost", 0)) as free:
        last = f"localhost:{free.getsockname()[1]}"
    configs = []
    for index in range(3):
        config = json.loads(two_workers[0])
        config["cluster"]["worker"].append(last)
        configs.append(json.dumps({**config, "task": {"type": "worker", "index": index}}))
    chief, second = start(configs[0]), start(configs[1])
    assert "worker 1 (" in chief.stderr.readline()
    line = chief.stderr.readline()
    assert line == f"waiting for worker 2 ({last}), 30 s at most\n"
    second.kill()
    second.communicate()
    assert "waiting for worker 1 (" in chief.stderr.readline()
    others = [start(configs[index], show=9.0) for index in (1, 2)]
    for process in (chief, *others):
        assert process.communicate(timeout=60)[0] == "all there\n"


def test_the_port_must_be_free(two_workers, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", two_workers[0])
    _, port = cluster.host_and_port(cluster.own_address())
    used = socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    with used, pytest.raises(ConnectionError, match=f"localhost:{port}; got: Address already"):
        rendezvous.wait_for_all()


def test_one_worker_or_none_waits_for_nobody(monkeypatch):
    begin = time.monotonic()
    monkeypatch.delenv("TF_CONFIG", raising=False)
    rendezvous.wait_for_all()
    one = {"cluster": {"worker": ["localhost:1"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(one))
    rendezvous.wait_for_all()
    assert time.monotonic() - begin < 1
