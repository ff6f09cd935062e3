# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C and SIGTERM: a training finishes its step, saves and ends. Imports no TensorFlow."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator

TERMINATED = 128 + signal.SIGTERM  # exit code of a shell
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class TrainingStopped(KeyboardInterrupt):
    """A signal has stopped the training; the message says how to resume it.

    Attributes:
        exit_code: that of a shell, 128 + the number of the signal: 130 for Ctrl-C, 143 for SIGTERM.
    """

    def __init__(self, number: int, progress: str = ""):
        reason = "" if number == signal.SIGINT else f" by {signal.Signals(number).name}"
        super().__init__(f"Stopped{reason}{progress}; the same command resumes the training.")
        self.exit_code = 128 + number


class StopSignals:
    """Remembers, within its block, the first signal that asks the process to end.

    The handlers of Python's main thread are replaced; in other threads nothing happens. A second
    signal raises TrainingStopped at once, and so does the first one while `can_wait` is false.

    Attributes:
        can_wait: whether somebody looks at `received` soon, and has something to save.
        received: the number of the signal; None as long as there is none.
    """

    def __init__(self):
        self.can_wait = False
        self.received: int | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._receive) for number in _SIGNALS}
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame) -> None:
        if self.received or not self.can_wait:
            raise TrainingStopped(number)
        self.received = number


@contextlib.contextmanager
def sigterm_raises() -> Iterator[None]:
    """Within the block, SIGTERM raises TrainingStopped, so that partial files are removed."""

    def stop(number, frame):
        raise TrainingStopped(number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def exits_after_sigterm() -> Iterator[None]:
    """Ends the process with exit code 143 where SIGTERM has stopped what the block trains."""
    try:
        yield
    except TrainingStopped as stop:
        if stop.exit_code != TERMINATED:
            raise
        print(f"\n{stop}", file=sys.stderr)
        sys.exit(TERMINATED)


@contextlib.contextmanager
def signals_end_the_process() -> Iterator[None]:
    """Within the block, Ctrl-C and SIGTERM end the process at once, as without Python."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_DFL) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
