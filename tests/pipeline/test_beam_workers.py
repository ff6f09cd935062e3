# SPDX-License-Identifier: Apache-2.0
"""A worker process that is killed ends the pipeline with one clear error."""

import contextlib
import os
import signal
import threading
import time

import apache_beam as beam
import pytest

from pipeline.local import beam_workers

TWO_PROCESSES = [
    "--runner=DirectRunner",
    "--direct_running_mode=multi_processing",
    "--direct_num_workers=2",
]


def kill_first_worker() -> None:
    """Kills a worker process as soon as there is one, before it is connected."""
    while not (found := beam_workers.find_workers()):
        time.sleep(0.05)
    os.kill(max(found), signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before it is connected", "at work"])
def test_a_killed_worker_is_one_clear_error(when):
    before = threading.excepthook, signal.getsignal(signal.SIGUSR1)
    if when == "before it is connected":
        threading.Thread(target=kill_first_worker, daemon=True).start()
    # From the standard library, because workers cannot import this module.
    function = signal.raise_signal if when == "at work" else str
    expected = r"SIGKILL \(is memory full\?\). Run the same command"
    with pytest.raises(RuntimeError, match=expected), beam_workers.watch():
        pipeline = beam.Pipeline(argv=TWO_PROCESSES)
        _ = (
            pipeline
            | beam.Create([int(signal.SIGKILL)] * 8)
            | beam.Reshuffle()
            | beam.Map(function)
        )
        pipeline.run().wait_until_finish()
    assert (threading.excepthook, signal.getsignal(signal.SIGUSR1)) == before
    assert not beam_workers.find_workers()


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (137, "one was ended by SIGKILL (is memory full?)"),
        (-11, "one was ended by SIGSEGV."),
        (134, "one was ended by SIGABRT."),
        (3, "one exited with 3."),
    ],
)
def test_the_message_says_how_the_worker_ended(code, expected):
    def wait_for_worker():
        raise RuntimeError(f"Worker subprocess exited with return code {code}")

    with pytest.raises(RuntimeError) as caught, beam_workers.watch():
        thread = threading.Thread(name="run_worker", target=wait_for_worker)
        thread.start()
        threading.Event().wait(20)  # As Beam waits; the error interrupts it.
    assert expected in str(caught.value)


def test_an_error_that_is_caught_where_it_is_raised_comes_again(monkeypatch):
    monkeypatch.setattr(beam_workers, "_SECONDS", 0.2)

    def wait_for_worker():
        raise RuntimeError("Worker subprocess exited with return code 137")

    with pytest.raises(RuntimeError, match="SIGKILL"), beam_workers.watch():
        threading.Thread(name="run_worker", target=wait_for_worker).start()
        with contextlib.suppress(RuntimeError):
            threading.Event().wait(20)
        threading.Event().wait(20)
        pytest.fail("the main thread was not interrupted")


def test_an_error_of_another_thread_changes_nothing(monkeypatch):
    shown = []
    monkeypatch.setattr(threading, "excepthook", shown.append)
    with beam_workers.watch():
        thread = threading.Thread(target=int, args=["x"])
        thread.start()
        thread.join()
    assert [item.exc_type for item in shown] == [ValueError]
