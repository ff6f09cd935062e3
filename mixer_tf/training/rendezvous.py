# SPDX-License-Identifier: Apache-2.0
"""Waits until all workers of a training have started. Imports no TensorFlow.

TensorFlow itself waits without a word and without an end, and no signal interrupts it.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import time
from collections.abc import Callable, Iterable

from mixer_tf.messages import listing
from mixer_tf.training import cluster

WAIT_SECONDS = 600.0
SHOW_SECONDS = 5.0  # a wait that is shorter is not shown
_POLL_SECONDS = 0.2
_GREETING = b"mixer_tf "
_GO = b"go\n"
_LONGEST_NAME = 100


def wait_for_all() -> None:
    """Returns when every worker in TF_CONFIG has called it.

    The others connect to the address of the chief, which lets them go when all are there. It does
    not listen there afterwards: the port is TensorFlow's.

    Raises:
        ConnectionError: some have not come within `WAIT_SECONDS`, or the chief cannot listen.
        ValueError: TF_CONFIG has an address without a port.
    """
    if not cluster.other_workers() or cluster.own_address() is None:
        return
    if cluster.is_chief():
        _let_go(_Wait())
    else:
        _follow(_Wait())


class _Wait:
    """The time of a wait, and the line that shows it."""

    def __init__(self):
        self._begin, self._shown = time.monotonic(), ""

    def go_on(self, missing: Iterable[str]) -> None:
        """Shows who is missing, if that has changed.

        Raises:
            ConnectionError: the time is over.
        """
        elapsed = time.monotonic() - self._begin
        names = listing(list(missing), show=cluster.title)
        if elapsed > WAIT_SECONDS:
            raise ConnectionError(
                f"all workers must start within {WAIT_SECONDS:.0f} s; {names} did not respond. "
                "Start the same command on all machines, and check the addresses in "
                f"{cluster.VARIABLE} and the firewall."
            )
        if elapsed > SHOW_SECONDS and names != self._shown:
            print(f"waiting for {names}, {WAIT_SECONDS:.0f} s at most", file=sys.stderr, flush=True)
            self._shown = names


def _let_go(wait: _Wait) -> None:
    """What the chief does."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(_listen())
        connected: dict[str, socket.socket] = {}
        while missing := [n for n in cluster.other_workers() if not _is_open(connected.get(n))]:
            wait.go_on(missing)
            with contextlib.suppress(OSError):  # nobody has come
                connection = stack.enter_context(server.accept()[0])
                connected[_read_name(connection)] = connection
        for connection in connected.values():
            with contextlib.suppress(OSError):  # it was somebody else, or has died just now
                connection.sendall(_GO)


def _listen() -> socket.socket:
    _, port = cluster.host_and_port(cluster.own_address())
    has_both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if has_both else socket.AF_INET
    try:
        server = socket.create_server(("", port), family=family, dualstack_ipv6=has_both)
    except OSError as error:
        raise ConnectionError(
            f"this worker must be able to listen at {cluster.own_address()}; got: "
            f"{error.strerror}. End the process that uses the port, or change {cluster.VARIABLE}."
        ) from error
    server.settimeout(_POLL_SECONDS)
    return server


def _read_name(connection: socket.socket) -> str:
    """Returns the name of the worker; "" where somebody else has connected."""
    connection.settimeout(1.0)
    text = connection.recv(_LONGEST_NAME)
    connection.setblocking(False)
    return text.removeprefix(_GREETING).decode("ascii", "replace") * text.startswith(_GREETING)


def _is_open(connection: socket.socket | None) -> bool:
    """Whether the worker at the other end still waits."""
    if connection is None:
        return False
    try:
        return connection.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def _follow(wait: _Wait) -> None:
    """What the other workers do."""
    chief = cluster.chief_name()
    address = cluster.host_and_port(cluster.other_workers()[chief])
    while not _greet(address, lambda: wait.go_on([chief])):
        wait.go_on([chief])
        time.sleep(_POLL_SECONDS)


def _greet(address: tuple[str, int], go_on: Callable[[], None]) -> bool:
    """Returns whether the chief let this worker go; it is False where there is no chief yet."""
    try:
        with socket.create_connection(address, timeout=2.0) as connection:
            connection.sendall(_GREETING + cluster.worker_name().encode("ascii"))
            connection.settimeout(_POLL_SECONDS)
            return _receive(connection, go_on) == _GO
    except OSError as error:
        if isinstance(error, ConnectionError) and error.errno is None:
            raise  # of `go_on`
        return False


def _receive(connection: socket.socket, go_on: Callable[[], None]) -> bytes:
    while True:
        try:
            return connection.recv(len(_GO))
        except TimeoutError:
            go_on()
