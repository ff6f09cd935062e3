# SPDX-License-Identifier: Apache-2.0
"""The name of a training's run: the recipe and the time of its start."""

from __future__ import annotations

import datetime
import os

from mixer_tf import storage


def run_folder(logs: str, recipe_name: str, record: str | None = None) -> str:
    """Returns the folder of a run below `logs`, such as "logs/digits-20261126-094501".

    Args:
        logs: the folder of the logs of all trainings.
        recipe_name: name of the recipe.
        record: a file that keeps the name for the same training when it resumes; None where `logs`
            has the run of this training alone.
    """
    name = _recorded(record) if record else _newest(logs, recipe_name)
    if not name:
        name = new_name(logs, recipe_name)
        if record:
            storage.make_folder(os.path.dirname(record))
            storage.write_text(record, name)
    return os.path.join(logs, name)


def new_name(logs: str, recipe_name: str) -> str:
    """Returns a name that no run in `logs` has."""
    name = f"{recipe_name}-{datetime.datetime.now():%Y%m%d-%H%M%S}"
    taken, number = name, 1
    while storage.exists(os.path.join(logs, taken)):
        number += 1
        taken = f"{name}-{number}"
    return taken


def _recorded(record: str) -> str:
    return storage.read_text(record) if storage.exists(record) else ""


def _newest(logs: str, recipe_name: str) -> str:
    names = storage.list_names(logs) if storage.is_folder(logs) else []
    return next((name for name in reversed(names) if name.startswith(f"{recipe_name}-")), "")
