# SPDX-License-Identifier: Apache-2.0
"""What TF_CONFIG says of the machines that train together. Imports no TensorFlow."""

from __future__ import annotations

import json
import os

VARIABLE = "TF_CONFIG"


def num_workers() -> int:
    """Returns the number of machines that train, the chief included; 0 without TF_CONFIG."""
    cluster = _config().get("cluster", {})
    return len(cluster.get("chief", ())) + len(cluster.get("worker", ()))


def is_first_worker() -> bool:
    """Whether this process is the one that writes what all workers share."""
    task = _config().get("task", {})
    if "chief" in _config().get("cluster", {}):
        return task.get("type") == "chief"
    return task.get("index", 0) == 0


def worker_name() -> str:
    """Returns a name that no other worker has, such as "worker_1"."""
    task = _config().get("task", {})
    # In containers all processes may have the same number, so it is the last resort.
    return f"{task.get('type', 'worker')}_{task.get('index', os.getpid())}"


def _config() -> dict:
    return json.loads(os.environ.get(VARIABLE) or "{}")
