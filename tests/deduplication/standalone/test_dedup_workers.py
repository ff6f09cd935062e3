# SPDX-License-Identifier: Apache-2.0
"""Worker processes: results, errors and deaths, and what is left of them."""

import concurrent.futures
import contextlib
import multiprocessing
import os
import signal
import threading

import pytest
from harness import is_running, wait_for

from mixer_tf import workers


def multiply(factor: int, number: int) -> int:
    return factor * number


def fail(_, number: int) -> int:
    raise ValueError(f"number {number} is not allowed")


def die(_, number: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def environment(_, name: str) -> str | None:
    return os.environ.get(name)


@pytest.mark.parametrize("processes", [1, 2])
def test_all_results_arrive(processes):
    found = sorted(workers.run(multiply, 3, range(40), processes))
    assert found == [3 * number for number in range(40)]
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("processes", [1, 2])
def test_an_error_is_raised_and_no_process_stays(processes):
    with pytest.raises(ValueError, match=r"number \d is not allowed"):
        list(workers.run(fail, None, range(5), processes))
    wait_for(lambda: not multiprocessing.active_children())


def test_a_killed_process_is_one_clear_error():
    with pytest.raises(RuntimeError, match="one was killed, .* Use fewer --processes, and run"):
        list(workers.run(die, None, range(2), 2))


def test_closing_ends_the_processes():
    with contextlib.closing(workers.run(multiply, 3, range(40), 2)) as results:
        next(results)
        children = multiprocessing.active_children()
        assert len(children) == 2
    # Several threads wait for the processes, so that the exit code of one may come late.
    wait_for(lambda: not any(is_running(process.pid) for process in children))


def test_a_process_has_one_thread_for_linear_algebra_and_this_one_is_unchanged(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("MKL_NUM_THREADS", "7")
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
    assert list(workers.run(environment, None, names, 2)) == ["1", "1"]
    assert [os.environ.get(name) for name in names] == [None, "7"]


class CountingLock:
    """A lock that counts how often any of them is acquired."""

    acquired = 0

    def __init__(self):
        self._lock = threading.Lock()
        self.release = self._lock.release

    def acquire(self, *args) -> bool:
        CountingLock.acquired += 1
        return self._lock.acquire(*args)

    def __enter__(self):
        return self.acquire()

    def __exit__(self, *_):
        self.release()


class PoolOfFutures:
    """A pool whose futures get their results from the test."""

    def __init__(self, number: int):
        self.futures = [concurrent.futures.Future() for _ in range(number)]
        for future in self.futures:
            future._condition = threading.Condition(CountingLock())

    def submit(self, function, job: int) -> concurrent.futures.Future:
        return self.futures[job]


def test_the_cost_of_a_result_does_not_grow_with_the_number_of_jobs(monkeypatch):
    monkeypatch.setattr(CountingLock, "acquired", 0)
    number = 100
    pool = PoolOfFutures(number)
    results = workers._results(pool, range(number))
    for value, future in enumerate(pool.futures):
        future.set_result(value)
        assert next(results) == value
    assert CountingLock.acquired < 10 * number


def test_no_jobs_start_no_process():
    assert list(workers.run(fail, None, [], 4)) == []
