# SPDX-License-Identifier: Apache-2.0
"""Names of strategies, and the workers that TF_CONFIG describes. Imports no TensorFlow."""

from __future__ import annotations

import dataclasses
import json
import os
import socket

# What `distribution.create_strategy` knows.
STRATEGIES = (
    "auto",
    "default",
    "mirrored",
    "multi_worker",
    "tpu",
    "tpu:NAME",
    "tpu:NAME@ZONE@PROJECT",
)
VARIABLE = "TF_CONFIG"


@dataclasses.dataclass(frozen=True)
class TPUAddress:
    """Where a TPU is.

    Attributes:
        name: its name, its address "grpc://HOST:PORT", "local" for that of this machine, or "" for
            none given.
        zone: Google Cloud zone such as "us-central1-b"; None for that of this machine.
        project: Google Cloud project; None for that of this machine.
    """

    name: str = ""
    zone: str | None = None
    project: str | None = None

    def __str__(self):
        return "@".join(filter(None, (self.name, self.zone, self.project)))


def parse_strategy(name: str) -> tuple[str, TPUAddress]:
    """Returns the kind of a strategy, such as "tpu", and the TPU that it names.

    Raises:
        ValueError: it is not one of `STRATEGIES`.
    """
    kind, _, tpu = name.partition(":")
    if not name.strip() or kind not in [known.partition(":")[0] for known in STRATEGIES]:
        raise ValueError(f"strategy must be one of {', '.join(STRATEGIES)}; got {name!r}.")
    if tpu and kind != "tpu":
        raise ValueError(f"only tpu takes a name, as in tpu:my-tpu; got {name!r}.")
    return kind, _parse_tpu(tpu, name)


def _parse_tpu(text: str, strategy: str) -> TPUAddress:
    parts = text.split("@")
    if len(parts) > 3 or (len(parts) > 1 and not all(parts)):
        raise ValueError(
            "strategy must name a TPU as tpu:NAME, tpu:NAME@ZONE or tpu:NAME@ZONE@PROJECT; got "
            f"{strategy!r}. Write for example tpu:my-tpu@us-central1-b@my-project."
        )
    if len(parts) > 1 and "://" in parts[0]:
        raise ValueError(
            f"the address of a TPU must be without zone and project; got {strategy!r}. "
            f"Use tpu:{parts[0]}."
        )
    return TPUAddress(*parts)


def tf_config() -> str | None:
    """Returns the value of the environment variable; None where it is not set."""
    return os.environ.get(VARIABLE)


def num_workers() -> int:
    """Returns the number of workers, the chief included; 0 without TF_CONFIG."""
    cluster = _config().get("cluster", {})
    return len(cluster.get("chief", ())) + len(cluster.get("worker", ()))


def is_chief() -> bool:
    """Whether this process writes the files that all workers share; True without TF_CONFIG."""
    if "chief" in _config().get("cluster", {}):
        return _task_type() == "chief"
    return _task_index(0) == 0


def worker_name() -> str:
    """Returns a name that no other worker has, such as "worker_1"."""
    # The process id is the last resort: in containers, all workers may have the same one.
    return f"{_task_type('worker')}_{_task_index(os.getpid())}"


def other_workers() -> dict[str, str]:
    """Returns the addresses "HOST:PORT" of the other workers by name, the chief first."""
    listed = _config().get("cluster", {})
    return {
        f"{kind}_{index}": address
        for kind in ("chief", "worker")
        for index, address in enumerate(listed.get(kind, ()))
        if f"{kind}_{index}" != worker_name()
    }


def chief_name() -> str:
    """Returns the name of the worker that `is_chief`."""
    return "chief_0" if "chief" in _config().get("cluster", {}) else "worker_0"


def own_address() -> str | None:
    """Returns the address "HOST:PORT" of this worker; None if it is not one of the workers."""
    kind, index = _task_type(), _task_index(0)
    listed = _config().get("cluster", {}).get(kind, ())
    if kind not in ("chief", "worker") or index >= len(listed):
        return None
    return listed[index]


def title(name: str) -> str:
    """Returns what error messages call another worker: "worker 1 (host1:2222)"."""
    return f"{name.replace('_', ' ')} ({other_workers()[name]})"


def host_and_port(address: str) -> tuple[str, int]:
    """Splits "host0:2222" or "[::1]:2222".

    Raises:
        ValueError: it has no port.
    """
    host, _, port = address.rpartition(":")
    if not (host and port.isdecimal()):
        raise ValueError(f"a worker in {VARIABLE} must be given as HOST:PORT; got {address!r}.")
    return host.strip("[]"), int(port)


def is_reachable(address: str, seconds: float = 2.0) -> bool:
    """Whether a process listens at an address "HOST:PORT"."""
    try:
        socket.create_connection(host_and_port(address), seconds).close()
    except OSError:
        return False
    return True


def _task_type(default: str | None = None) -> str | None:
    return _config().get("task", {}).get("type", default)


def _task_index(default: int) -> int:
    """Returns the index of this worker, which may be a string, as TensorFlow reads it.

    Raises:
        ValueError: it is not an integer.
    """
    index = _config().get("task", {}).get("index", default)
    try:
        return int(index)
    except (TypeError, ValueError):
        raise ValueError(
            f"the index of the task in {VARIABLE} must be an integer; got {index!r}."
        ) from None


def _config() -> dict:
    try:
        found = json.loads(tf_config() or "{}")
        are_lists = [isinstance(each, list) for each in found.get("cluster", {}).values()]
    except (ValueError, AttributeError):
        are_lists = [False]
    if not all(are_lists):
        raise ValueError(
            f"{VARIABLE} must be a JSON object whose cluster has a list of addresses for each kind "
            f"of worker; got {tf_config()!r}."
        )
    return found
