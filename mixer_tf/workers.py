# SPDX-License-Identifier: Apache-2.0
"""Worker processes that end with the run, whatever ends it: success, an error, Ctrl-C, a kill."""

from __future__ import annotations

import concurrent.futures
import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

Shared = TypeVar("Shared")
Job = TypeVar("Job")
Result = TypeVar("Result")

# Libraries for linear algebra start a thread for each core, in each process.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_ENDED = 1


def count_processors() -> int:
    """Returns the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # not Linux


def run(
    function: Callable[[Shared, Job], Result], shared: Shared, jobs: Iterable[Job], processes: int
) -> Iterator[Result]:
    """Yields the results of a function for all jobs, in the order in which they are finished.

    Processes are started afresh, not forked. When the iterator is closed, or raises, they are
    terminated, and the jobs that are not finished are lost.

    Args:
        function: a function of a module, with two picklable arguments.
        shared: its first argument, which is sent to each process once.
        jobs: its second arguments.
        processes: the number of processes; with 1, the function runs in this one.

    Raises:
        RuntimeError: a worker process was killed.
        Exception: what the function raises.
    """
    jobs = list(jobs)
    processes = min(processes, len(jobs))
    if processes <= 1:
        yield from (function(shared, job) for job in jobs)
        return
    before = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")
    pool = concurrent.futures.ProcessPoolExecutor(processes, context, _start, (function, shared))
    try:
        yield from _results(pool, jobs)
        pool.shutdown()
    except BrokenProcessPool:
        raise RuntimeError(
            "every worker process must run to its end; one was killed, by the system if the memory "
            "was exhausted. Use fewer --processes, and run the same command again."
        ) from None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in set(multiprocessing.active_children()) - before:
            process.terminate()


def _results(pool: concurrent.futures.Executor, jobs: Iterable[Job]) -> Iterator[Result]:
    # `as_completed` alone holds the futures, so that a result is freed once it was taken.
    for future in concurrent.futures.as_completed(_submit(pool, jobs)):
        yield future.result()


def _submit(
    pool: concurrent.futures.Executor, jobs: Iterable[Job]
) -> set[concurrent.futures.Future]:
    with _single_threaded(), _interrupts_blocked():
        return {pool.submit(_run, job) for job in jobs}


# What a worker process runs, set by `_start`.
_task: list = []


def _start(function: Callable, shared: object) -> None:
    from mixer_tf import console

    _end_with_parent()
    console.silence_libraries()
    _task[:] = [function, shared]


def _run(job: Job) -> Result:
    function, shared = _task
    return function(shared, job)


def _end_with_parent() -> None:
    """Ends this process when its parent was killed: the next run does the same work."""

    def wait() -> None:
        multiprocessing.parent_process().join()
        os._exit(_ENDED)

    threading.Thread(target=wait, daemon=True).start()


@contextlib.contextmanager
def _single_threaded() -> Iterator[None]:
    """Within the block, processes are started with one thread for linear algebra each."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Within the block, processes are started that ignore Ctrl-C, which only this one handles."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
