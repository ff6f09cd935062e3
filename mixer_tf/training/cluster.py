# SPDX-License-Identifier: Apache-2.0
"""Names of strategies, and the workers that TF_CONFIG describes. Imports no TensorFlow."""

from __future__ import annotations

import json
import os

# What `distribution.create_strategy` knows.
STRATEGIES = ("auto", "default", "mirrored", "multi_worker", "tpu", "tpu:NAME")
VARIABLE = "TF_CONFIG"


def parse_strategy(name: str) -> tuple[str, str]:
    """Returns the kind of a strategy, such as "tpu", and the name of the TPU, or "".

    Raises:
        ValueError: it is not one of `STRATEGIES`.
    """
    kind, _, tpu_name = name.partition(":")
    if not name.strip() or kind not in [known.partition(":")[0] for known in STRATEGIES]:
        raise ValueError(f"strategy must be one of {', '.join(STRATEGIES)}; got {name!r}.")
    if tpu_name and kind != "tpu":
        raise ValueError(f"only tpu takes a name, as in tpu:my-tpu; got {name!r}.")
    return kind, tpu_name


def tf_config() -> str | None:
    """Returns the value of the environment variable; None where it is not set."""
    return os.environ.get(VARIABLE)


def num_workers() -> int:
    """Returns the number of workers, the chief included; 0 without TF_CONFIG."""
    cluster = _config().get("cluster", {})
    return len(cluster.get("chief", ())) + len(cluster.get("worker", ()))


def is_chief() -> bool:
    """Whether this process writes the files that all workers share; True without TF_CONFIG."""
    task = _config().get("task", {})
    if "chief" in _config().get("cluster", {}):
        return task.get("type") == "chief"
    return task.get("index", 0) == 0


def worker_name() -> str:
    """Returns a name that no other worker has, such as "worker_1"."""
    task = _config().get("task", {})
    # The process id is the last resort: in containers, all workers may have the same one.
    return f"{task.get('type', 'worker')}_{task.get('index', os.getpid())}"


def _config() -> dict:
    return json.loads(tf_config() or "{}")
