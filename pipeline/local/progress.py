# SPDX-License-Identifier: Apache-2.0
"""One line for each step of a local run, with its duration; TFX itself prints nothing."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator

from tfx.orchestration.portable import python_executor_operator
from tfx.orchestration.portable.launcher import Launcher

from pipeline.local.step import Step, StepError

# They show their own progress bar, epoch by epoch.
_SHOW_THEIR_OWN = ("Tuner", "Trainer")


@contextlib.contextmanager
def show_steps(total: int) -> Iterator[dict[str, Step]]:
    """Prints the steps that are launched within the context, and yields node id → Step.

    Steps run one after the other in this process, so wrapping what launches and executes them is
    enough.

    Args:
        total: the number of steps that will run, for "[3/11]".

    Raises:
        StepError: from within the context, when a step fails.
    """
    steps: dict[str, Step] = {}
    in_executor: list[float] = []  # seconds of the executor of the current step, if it ran
    launch, run_executor = Launcher.launch, python_executor_operator.run_with_executor

    def timed_run_executor(*args, **kwargs):
        started = time.monotonic()
        try:
            return run_executor(*args, **kwargs)
        finally:
            in_executor.append(time.monotonic() - started)

    def printing_launch(self):
        node_id = self._pipeline_node.node_info.id
        in_executor.clear()
        started = time.monotonic()
        with _running_line(f"[{len(steps) + 1}/{total}] {node_id}", node_id):
            try:
                result = launch(self)
            except Exception as error:
                raise StepError(node_id) from error
        seconds = time.monotonic() - started
        cached = self._executor_operator is not None and not in_executor
        overhead = seconds - sum(in_executor)
        steps[node_id] = Step(round(seconds, 2), cached, round(overhead, 2))
        _print_done(len(steps), total, node_id, steps[node_id])
        return result

    Launcher.launch = printing_launch
    python_executor_operator.run_with_executor = timed_run_executor
    try:
        yield steps
    finally:
        Launcher.launch = launch
        python_executor_operator.run_with_executor = run_executor


def _print_done(position: int, total: int, node_id: str, step: Step) -> None:
    time_or_cache = "cached" if step.cached else f"{step.seconds:.1f} s"
    print(f"[{position:>2}/{total}] {node_id:<18}{time_or_cache:>10}", flush=True)


@contextlib.contextmanager
def _running_line(text: str, node_id: str) -> Iterator[None]:
    """On a terminal, shows `text` and the seconds that have passed until the context ends."""
    if not sys.stdout.isatty() or node_id in _SHOW_THEIR_OWN:
        yield
        return
    done = threading.Event()
    ticker = threading.Thread(target=_tick, args=(text, done), daemon=True)
    ticker.start()
    try:
        yield
    finally:
        done.set()
        ticker.join()
        print("\r\033[K", end="", flush=True)


def _tick(text: str, done: threading.Event) -> None:
    started = time.monotonic()
    while not done.wait(0.5):
        print(f"\r{text} … {time.monotonic() - started:.0f} s", end="", flush=True)
