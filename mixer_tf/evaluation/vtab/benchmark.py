# SPDX-License-Identifier: Apache-2.0
"""Runs VTAB tasks one after the other into one folder. What `mixer vtab` calls.

The folder holds `vtab.json` (what is measured, by which an interrupted run is recognized), a folder
for each task, and `summary.json`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Sequence

from mixer_tf import locks, storage
from mixer_tf.checkpoints.published import KNOWN
from mixer_tf.evaluation.vtab import protocols, reading
from mixer_tf.evaluation.vtab.protocols import VtabSettings
from mixer_tf.evaluation.vtab.reading import MissingDataError, TaskReader
from mixer_tf.evaluation.vtab.report import SUMMARY, VtabReport
from mixer_tf.evaluation.vtab.running import Progress, TaskRun
from mixer_tf.evaluation.vtab.tasks import VtabTask
from mixer_tf.recipes.exported import read_recipe
from mixer_tf.recipes.schema import ModelOptions, Recipe
from mixer_tf.serving import locations
from mixer_tf.training import requirements

STATE = "vtab.json"
_CHUNK = 1 << 24


@dataclasses.dataclass(frozen=True)
class Start:
    """The model that every task starts from.

    Attributes:
        options: the model with its weights.
        digest: what changes with the weights.
    """

    options: ModelOptions
    digest: str


def open_start(model: str) -> Start:
    """Returns the model to fine-tune.

    Args:
        model: an export of mixer_tf, a folder that `locations.resolve_saved_model` knows, or the
            name of a published model such as "mixer_b16_imagenet21k".

    Raises:
        ValueError: there is no such model.
    """
    if model in KNOWN and not storage.exists(model):
        known = KNOWN[model]
        return Start(ModelOptions(name=known.model, weights=model), known.url)
    folder = locations.resolve_saved_model(model)
    options = protocols.fine_tuned(read_recipe(folder).model, os.path.abspath(folder))
    return Start(options, _digest(os.path.join(folder, "variables")))


def open_tasks(
    chosen: Sequence[VtabTask], data_dir: str | None
) -> tuple[list[TaskReader], dict[str, str]]:
    """Returns the tasks whose data are prepared, and task → the way to get the data of the others.

    Raises:
        ValueError: no task has data.
    """
    readers, missing = [], {}
    for task in chosen:
        try:
            readers.append(reading.open_task(task, data_dir))
        except MissingDataError as error:
            missing[task.name] = str(error)
    if not readers:
        name, reason = next(iter(missing.items()))
        raise ValueError(
            f"at least one task must have prepared data; none of {len(missing)} has. The first, "
            f"{name}: {reason}"
        )
    return readers, missing


def run(
    readers: Sequence[TaskReader],
    missing: dict[str, str],
    start: Start,
    settings: VtabSettings,
    output: str,
    *,
    strategy: str = "auto",
    progress: Progress | None = None,
    finished=lambda result: None,
) -> VtabReport:
    """Measures the tasks; finished ones are read, and an interrupted one resumes.

    Args:
        readers, missing: see `open_tasks`.
        start: the model.
        settings: the settings of all trainings.
        output: a new folder, or that of the same run.
        strategy: where to train, as `trainer.fit` takes it.
        progress: see `TaskRun`.
        finished: called with the result of each task.

    Raises:
        ValueError: the folder holds something else, the weights cannot be used, or a dataset is
            not the benchmark's.
        DownloadError: published weights cannot be downloaded.
        TrainingStopped: after Ctrl-C or SIGTERM.
    """
    facts = {"digest": start.digest, **settings.to_dict()}
    with locks.exclusive(output, "Wait until it has ended, or name another output."):
        is_new = _is_new(output, facts)
        requirements.require_weights(_any_recipe(readers[0], settings))
        if is_new:
            storage.write_text(os.path.join(output, STATE), json.dumps(facts, indent=2))
        results = []
        for reader in readers:
            folder = os.path.join(output, reader.task.name)
            result = TaskRun(reader, settings, folder, strategy, progress).run()
            _require_same_version(result, reader)
            results.append(result)
            finished(result)
        report = VtabReport(results, missing, facts)
        storage.write_text(os.path.join(output, SUMMARY), report.to_json())
    return report


def _any_recipe(reader: TaskReader, settings: VtabSettings) -> Recipe:
    return settings.recipe(reader.task, settings.points()[0], settings.seeds[0])


def _is_new(output: str, facts: dict[str, object]) -> bool:
    """Whether the folder is empty; if not, it must hold an earlier run with the same settings."""
    path = os.path.join(output, STATE)
    state = json.loads(json.dumps(facts))
    if storage.exists(path):
        earlier = json.loads(storage.read_text(path))
        differing = [key for key in state if earlier.get(key) != state[key]]
        if differing:
            raise ValueError(
                f"{output} must be a new folder or that of the same run; it holds one with another "
                f"{', '.join(differing)}. Name another output."
            )
        return False
    if locks.list_other_files(output, STATE):
        raise ValueError(
            f"the output must be a new or empty folder; {output} holds other files. Name another "
            "one."
        )
    return True


def _require_same_version(result: dict, reader: TaskReader) -> None:
    if result["dataset"] != reader.version:
        raise ValueError(
            f"{reader.task.name} must be measured on one version of its dataset; the finished "
            f"result is of {result['dataset']}, prepared is {reader.version}. Name another output."
        )


def _digest(folder: str) -> str:
    """Returns a digest of the files of a folder."""
    digest = hashlib.sha256()
    for name in storage.list_names(folder):
        path = os.path.join(folder, name)
        size = storage.file_size(path)
        digest.update(f"{name}\n{size}\n".encode())
        for first in range(0, size, _CHUNK):
            digest.update(storage.read_range(path, first, min(_CHUNK, size - first)))
    return digest.hexdigest()
