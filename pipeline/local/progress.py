# SPDX-License-Identifier: Apache-2.0
"""One line for each step of a local run, with its duration; TFX itself prints nothing."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator

from tfx.orchestration.portable.launcher import Launcher

from pipeline.local.step import Step, StepError

# They show their own progress bar, epoch by epoch.
_SHOW_THEIR_OWN = ("Tuner", "Trainer")


@contextlib.contextmanager
def show_steps(total: int) -> Iterator[dict[str, Step]]:
    """Prints the steps that are launched within the context, and yields node id → Step.

    Steps run one after the other in this process, so wrapping two methods of the launcher is
    enough.

    Args:
        total: the number of steps that will run, for "[3/11]".

    Raises:
        StepError: from within the context, when a step fails.
    """
    steps: dict[str, Step] = {}
    executed: set[str] = set()
    launch, run_executor = Launcher.launch, Launcher._run_executor

    def recording_run_executor(self, *args, **kwargs):
        executed.add(_node_id(self))
        return run_executor(self, *args, **kwargs)

    def printing_launch(self):
        node_id = _node_id(self)
        started = time.monotonic()
        with _running_line(f"[{len(steps) + 1}/{total}] {node_id}", node_id):
            try:
                result = launch(self)
            except Exception as error:
                raise StepError(node_id) from error
        cached = self._executor_operator is not None and node_id not in executed
        steps[node_id] = Step(round(time.monotonic() - started, 2), cached)
        _print_done(len(steps), total, node_id, steps[node_id])
        return result

    Launcher.launch, Launcher._run_executor = printing_launch, recording_run_executor
    try:
        yield steps
    finally:
        Launcher.launch, Launcher._run_executor = launch, run_executor


def _node_id(launcher: Launcher) -> str:
    return launcher._pipeline_node.node_info.id


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
