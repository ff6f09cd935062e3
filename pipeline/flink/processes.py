# SPDX-License-Identifier: Apache-2.0
"""Background processes that outlive the command that started them: a log and a pid file for each.

All processes of an engine belong to one folder, and are ended together.
"""

from __future__ import annotations

import contextlib
import glob
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence

from mixer_tf import storage

_PID_FILES = "*.pid"
# A process that was asked to end, and that is still there after this time in seconds, is killed.
_PATIENCE = 15
_POLL = 0.2


def free_ports(number: int) -> list[int]:
    """Returns different ports of this machine that are free now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [item.getsockname()[1] for item in sockets]


def start(folder: str, name: str, command: Sequence[str], variables: dict[str, str]) -> int:
    """Starts a process in a session of its own, and returns its id.

    Args:
        folder: where `NAME.pid` and `NAME.log` are written.
        name: the name of the process.
        command: the program and its arguments.
        variables: environment variables, in addition to those of this process.
    """
    with open(os.path.join(folder, f"{name}.log"), "wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **variables},
            start_new_session=True,
        )
    storage.write_text(os.path.join(folder, f"{name}.pid"), f"{process.pid} {_born(process.pid)}")
    return process.pid


def list_running(folder: str) -> dict[str, int]:
    """Returns the name and id of each process of a folder that still runs."""
    found = {}
    for name in _list_started(folder):
        pid, _, born = storage.read_text(os.path.join(folder, f"{name}.pid")).partition(" ")
        # The system gives the id of a process that ended to another one.
        if born and _born(int(pid)) == born:
            found[name] = int(pid)
    return found


def _list_started(folder: str) -> set[str]:
    """The names of the processes of a folder, also of those that have ended since."""
    paths = glob.glob(os.path.join(glob.escape(folder), _PID_FILES))
    return {os.path.basename(path).removesuffix(".pid") for path in paths}


def stop_all(folder: str) -> list[str]:
    """Ends the processes of a folder and their children, and returns their names.

    The pid files are removed; the logs stay.
    """
    running = list_running(folder)
    for pid in running.values():
        _signal(pid, signal.SIGTERM)
    deadline = time.monotonic() + _PATIENCE
    while list_running(folder) and time.monotonic() < deadline:
        time.sleep(_POLL)
    for pid in running.values():
        _signal(pid, signal.SIGKILL)  # the group: children of a process that has ended, too
    for path in glob.glob(os.path.join(glob.escape(folder), _PID_FILES)):
        os.remove(path)
    return sorted(running)


def wait_until(is_ready: Callable[[], bool], folder: str, what: str, seconds: float = 90) -> None:
    """Waits until a function returns True.

    Args:
        is_ready: called several times a second.
        folder: the folder of the processes that are waited for.
        what: what the function tells, such as "the job server listens".
        seconds: how long to wait.

    Raises:
        RuntimeError: a process has ended, or it took too long.
    """
    names = _list_started(folder)
    deadline = time.monotonic() + seconds
    while not is_ready():
        ended = sorted(names - set(list_running(folder)))
        if ended or time.monotonic() > deadline:
            logs = [os.path.join(folder, f"{name}.log") for name in ended or sorted(names)]
            reason = f"{ended[0]} has ended" if ended else f"{seconds:.0f} s have passed"
            raise RuntimeError(f"Flink must start: {what}; {reason}. See {', '.join(logs)}")
        time.sleep(_POLL)


def listens(port: int) -> bool:
    """Whether a server on this machine accepts connections at a port."""
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0


def _signal(pid: int, number: int) -> None:
    """Sends a signal to a process and its children; it leads a group of its own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)


def _born(pid: int) -> str:
    """When a process was started, as `ps` tells it; "" if it does not run."""
    command = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    result = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}
    )
    state, _, born = result.stdout.strip().partition(" ")
    return "" if state.startswith("Z") else born.strip().replace(" ", "_")
