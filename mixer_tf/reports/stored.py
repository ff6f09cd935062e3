# SPDX-License-Identifier: Apache-2.0
"""Finds runs: the records that the pipeline keeps below its root, and outputs of `mixer train`."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable

from mixer_tf import storage
from mixer_tf.reports import training_folder
from mixer_tf.reports.facts import RECORDS, RunFacts
from mixer_tf.reports.page import JSON_FILE

METADATA_FILE = "metadata.sqlite"  # below the root of a local pipeline


def record_path(root: str, name: str) -> str:
    """Returns the file of the facts of one run of a pipeline.

    Args:
        root: root folder of the pipeline.
        name: name of the run; names are sorted by time.
    """
    return os.path.join(root, RECORDS, f"{name}.json")


def list_records(root: str) -> list[str]:
    """Returns the files of the runs of a pipeline, the newest last."""
    folder = os.path.join(root, RECORDS)
    names = storage.list_names(folder) if storage.is_folder(folder) else []
    # Of two runs in one second, the second one has a number after the time.
    names = sorted(filter(_is_record, names), key=lambda name: name.removesuffix(".json"))
    return [os.path.join(folder, name) for name in names]


def _is_record(name: str) -> bool:
    return name.endswith(".json") and not name.startswith(storage.partial_name(""))


def read_record(path: str) -> RunFacts:
    """Reads the facts of a run.

    Raises:
        ValueError: the file does not hold them.
    """
    try:
        found = RunFacts.from_json(storage.read_text(path))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    folder = os.path.dirname(os.path.abspath(path))
    if os.path.basename(folder) != RECORDS:
        return found
    return dataclasses.replace(found, root=os.path.dirname(folder))  # it may have been moved


def newest(path: str) -> RunFacts:
    """Returns the facts of the newest run in a folder.

    Args:
        path: the root of a pipeline, the output of `mixer train`, the output of the step RunReport,
            or the file of a run.

    Raises:
        ValueError: there is no run.
    """
    path = os.path.expanduser(path)
    if path.endswith(".json") and storage.exists(path):
        return read_record(path)
    if list_records(path):
        return read_record(list_records(path)[-1])
    if training_folder.is_training(path):
        return training_folder.read(path)
    if storage.exists(os.path.join(path, JSON_FILE)):
        return read_record(os.path.join(path, JSON_FILE))
    raise ValueError(_nothing(path))


def all_runs(*paths: str) -> tuple[list[RunFacts], list[str]]:
    """Returns the runs in each folder, or else those in its sub-folders, the oldest first.

    Args:
        *paths: each the root of a pipeline, the output of `mixer train`, or a folder of such
            folders.

    Returns:
        The runs, and one line for each that cannot be read.

    Raises:
        ValueError: a folder has no run that can be read.
    """
    found, problems = [], []
    for path in dict.fromkeys(map(os.path.expanduser, paths)):
        runs, more_problems = _runs_in(path)
        if not runs:
            raise ValueError(more_problems[0] if more_problems else _nothing(path))
        known = set(map(_identity, found))
        found += [run for run in runs if _identity(run) not in known]
        problems += more_problems
    return sorted(found, key=lambda run: run.started), problems


def _identity(run: RunFacts) -> tuple[str, ...]:
    """Facts of one run that were collected at two times differ in other fields."""
    return run.kind, run.root, run.started, run.run


def _runs_in(path: str) -> tuple[list[RunFacts], list[str]]:
    names = storage.list_names(path) if storage.is_folder(path) else []
    folders = [os.path.join(path, name) for name in names]
    readers = _readers(path) or [
        reader for folder in folders if storage.is_folder(folder) for reader in _readers(folder)
    ]
    found, problems = [], []
    for read in readers:
        try:
            found.append(read())
        except ValueError as error:
            problems.append(str(error))
    return found, problems


def _readers(folder: str) -> list[Callable[[], RunFacts]]:
    """One function for each run in a folder."""
    if training_folder.is_training(folder):
        return [functools.partial(training_folder.read, folder)]
    return [functools.partial(read_record, record) for record in list_records(folder)]


def _nothing(path: str) -> str:
    """What must hold, what was given, and what to do."""
    must = "ROOT must be the root of a pipeline or the output of mixer train"
    if not storage.exists(path):
        return f"{must}; {path} does not exist."
    if storage.exists(os.path.join(path, METADATA_FILE)):
        return (
            f"{must}, with the records of its runs in {RECORDS}/; {path} has runs of an earlier "
            f"version, without records. Make the page with `python -m pipeline.report {path}`."
        )
    if training_folder.is_search(path):
        return f"{must}; {path} is a search by mixer sweep: results.csv there lists its trials."
    return f"{must}; {path} is neither."
