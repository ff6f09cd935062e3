# SPDX-License-Identifier: Apache-2.0
"""TensorFlow's errors for a worker that does not respond become one that says what to do."""

import json
import socket

import pytest
import tensorflow as tf

from mixer_tf.datasets.sources import opening
from mixer_tf.training import from_source, lost_workers

# As TensorFlow 2.15 raises them when a worker was killed, and when one was stopped.
_RESET = tf.errors.UnavailableError(
    None,
    None,
    "Graph execution error:\n\nCollective ops is aborted by: Connection reset by peer\n"
    "Additional GRPC error information from remote target /job:worker/replica:0/task:0 while "
    "calling /tensorflow.WorkerService/CompleteInstance:\n"
    "The error could be from a previous operation. Restart your program to reset.",
)
_HEARTBEAT = tf.errors.UnavailableError(
    None,
    None,
    "Collective ops is aborted by: Error reported from /job:worker/task:2: Task "
    "/job:worker/replica:0/task:2 heartbeat timeout. This indicates that the remote task has",
)
_DEADLINE = tf.errors.DeadlineExceededError(
    None,
    None,
    "Collective ops is aborted by: Deadline Exceeded\nAdditional GRPC error information from "
    "remote target /job:worker/replica:0/task:0 while calling /tensorflow.CoordinationService",
)
_UNNAMED = tf.errors.UnavailableError(None, None, "Collective ops is aborted by: Socket closed")


@pytest.fixture
def listening():
    """The address of a socket that listens."""
    with socket.create_server(("localhost", 0)) as server:
        yield f"localhost:{server.getsockname()[1]}", server


@pytest.fixture
def workers(monkeypatch, listening):
    """This is worker 1 of three; worker 0 listens, and worker 2 does not."""
    with socket.create_server(("localhost", 0)) as closed:
        lost = f"localhost:{closed.getsockname()[1]}"
    addresses = [listening[0], "localhost:1", lost]
    config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": 1}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    return addresses


@pytest.mark.parametrize(
    ("error", "index"), [(_RESET, 0), (_HEARTBEAT, 2), (_DEADLINE, 0), (_UNNAMED, 2)]
)
def test_the_message_names_the_worker_and_how_to_resume(workers, error, index):
    @lost_workers.explained
    def fit(checkpoint_dir=None):
        raise error

    with pytest.raises(lost_workers.WorkerLostError) as caught:
        fit(checkpoint_dir="a")
    assert str(caught.value) == (
        f"all workers must run until the end; worker {index} ({workers[index]}) failed or cannot "
        "be reached. Look for the reason in the messages there; the same command on all machines "
        "resumes from the last checkpoint."
    )
    with pytest.raises(lost_workers.WorkerLostError, match="machines starts the training again"):
        fit()


@pytest.mark.parametrize(
    "error",
    [
        tf.errors.ResourceExhaustedError(None, None, "Collective ops is aborted by: OOM"),
        tf.errors.UnavailableError(None, None, "a disk is unavailable"),
        ValueError("remote target /job:worker/replica:0/task:0"),
    ],
)
def test_an_error_of_this_worker_stays_as_it_is(workers, error):
    @lost_workers.explained
    def fit():
        raise error

    with pytest.raises(type(error)) as caught:
        fit()
    assert caught.value is error


def test_without_other_workers_nothing_is_lost(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert not lost_workers.is_lost(_RESET)


def test_who_waits_for_the_data_notices_that_the_chief_has_died(
    workers, listening, monkeypatch, tmp_path, recipe
):
    monkeypatch.setattr(from_source, "_CHIEF_SECONDS", 0.1)
    waits = []

    def sleep(seconds):
        waits.append(seconds)
        if len(waits) == 3:
            listening[1].close()
            monkeypatch.setattr(from_source, "_CHIEF_SECONDS", 0.0)

    monkeypatch.setattr(from_source.time, "sleep", sleep)
    folder = from_source.RunDirectory(str(tmp_path / "run"))
    with pytest.raises(ConnectionError, match=r"worker 0 \(localhost:\d+\) must prepare the data"):
        from_source.prepare(opening.open_source("digits"), recipe, folder)
    assert len(waits) >= 3


def test_who_waits_for_a_chief_that_never_listened_goes_on_waiting(
    workers, listening, monkeypatch, tmp_path, recipe
):
    """With a strategy other than multi_worker, nobody listens."""
    listening[1].close()
    monkeypatch.setattr(from_source, "_CHIEF_SECONDS", 0.0)
    monkeypatch.setattr(from_source, "_WAIT_SECONDS", 0.3)
    monkeypatch.setattr(from_source, "_POLL_SECONDS", 0.05)
    folder = from_source.RunDirectory(str(tmp_path / "run"))
    with pytest.raises(TimeoutError, match="the first worker must write"):
        from_source.prepare(opening.open_source("digits"), recipe, folder)
