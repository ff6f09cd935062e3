# SPDX-License-Identifier: Apache-2.0
"""A worker process of Beam that is killed ends the step; Beam itself would wait for it for ever."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator

# The thread of Beam that waits for a worker process, and a part of that process' command.
_THREAD, _COMMAND = "run_worker", "apache_beam.runners.worker"
_SIGNAL = signal.SIGUSR1
# The error is raised again after this time, for code of Beam that catches it where it is raised.
_SECONDS = 5.0


@contextlib.contextmanager
def watch() -> Iterator[None]:
    """Raises an error in the main thread as soon as a worker process of the block has died.

    Must be entered in the main thread.

    Raises:
        RuntimeError: from within the block.
    """
    found: list[str] = []
    ended, lock = threading.Event(), threading.Lock()
    hook = threading.excepthook

    def note_dead_worker(arguments):
        if found:  # The other threads and workers fail because of the first one.
            return
        if getattr(arguments.thread, "name", "") != _THREAD:
            hook(arguments)
            return
        found.append(_describe(str(arguments.exc_value)))
        with contextlib.suppress(FileNotFoundError):  # a machine without `ps`
            _kill_workers()  # Beam would wait for each of them.
        threading.Thread(target=_interrupt_main_thread, args=[ended, lock], daemon=True).start()

    def raise_error(signal_number, frame):
        raise RuntimeError(found[0])

    handler = signal.signal(_SIGNAL, raise_error)
    threading.excepthook = note_dead_worker
    try:
        yield
    finally:
        signal.signal(_SIGNAL, signal.SIG_IGN)
        with lock:
            ended.set()
        threading.excepthook = hook
        signal.signal(_SIGNAL, handler)


def _interrupt_main_thread(ended: threading.Event, lock: threading.Lock) -> None:
    """Interrupts what the main thread waits for, until the block has ended."""
    while not ended.is_set():
        with lock:
            if not ended.is_set():
                os.kill(os.getpid(), _SIGNAL)
        ended.wait(_SECONDS)


def find_workers() -> list[int]:
    """Returns the ids of the worker processes of this process, and of the shells between."""
    listed = subprocess.run(
        ["ps", "-wwAo", "pid=,ppid=,args="], capture_output=True, text=True, errors="replace"
    )
    rows = [line.split(None, 2) for line in listed.stdout.splitlines()]
    workers = {int(pid): int(parent) for pid, parent, *args in rows if _COMMAND in "".join(args)}
    own = os.getpid()
    return [pid for pid, parent in workers.items() if own in (parent, workers.get(parent))]


def _kill_workers() -> None:
    for pid in find_workers():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _describe(message: str) -> str:
    """The error for Beam's message, such as "Worker subprocess exited with return code 137"."""
    code = re.search(r"-?\d+$", message)
    status = int(code[0]) if code else 0
    number = -status if status < 0 else status - 128  # A shell adds 128 to the signal.
    names = {item.value: item.name for item in signal.Signals}
    how = f"was ended by {names[number]}" if number in names else f"exited with {status}"
    return (
        "a worker process of Apache Beam must run until its step is done; one "
        f"{how}{' (is memory full?)' if number == signal.SIGKILL else ''}. Run the same command "
        "again, with a smaller --direct_num_workers if memory was full."
    )
