# SPDX-License-Identifier: Apache-2.0
"""The facts of a training by `mixer train`, read from its output folder."""

from __future__ import annotations

import collections
import datetime
import json
import os

from mixer_tf import console, storage
from mixer_tf.datasets.excluded_images import OPTION as EXCLUDE
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.recipes.schema import Recipe
from mixer_tf.reports import curves, recipe_changes
from mixer_tf.reports.facts import (
    COMPLETE,
    TRAINING,
    UNFINISHED,
    Command,
    DataFacts,
    QuarantineFacts,
    RecipeFacts,
    RunFacts,
    TrainingFacts,
)
from mixer_tf.reports.other_results import find_results, read_evaluation
from mixer_tf.serving.locations import MODEL_FILE
from mixer_tf.training.run_directory import STATE_FILE, RunDirectory


def is_training(folder: str) -> bool:
    """Whether `mixer train` has written to a folder."""
    return RunDirectory(folder).read_state() is not None


def read(folder: str) -> RunFacts:
    """Returns the facts of a training, finished or not.

    Args:
        folder: the output of `mixer train`.

    Raises:
        ValueError: `mixer train` has not written there.
    """
    output = RunDirectory(folder)
    state = output.read_state()
    if state is None:
        raise ValueError(f"the folder must be an output of mixer train; got {folder}.")
    info = DatasetInfo.read(output.data) if storage.exists(output.dataset_file) else None
    recipe = Recipe.from_json(json.dumps(state["recipe"]))
    has_model = storage.exists(os.path.join(output.model, MODEL_FILE))
    is_complete = has_model and not storage.exists(output.checkpoints)
    described = recipe_changes.describe(recipe, info.num_classes if info else None)
    started = os.path.getmtime(os.path.join(folder, STATE_FILE))
    return RunFacts(
        kind=TRAINING,
        name=os.path.basename(os.path.abspath(folder)),
        root=os.path.abspath(folder),
        started=utc(started),
        state=COMPLETE if is_complete else UNFINISHED,
        model=output.model if has_model else "",
        data=describe_data(info) if info else None,
        quarantine=read_quarantine(output.quarantine),
        recipe=described,
        training=_newest_training(output.logs),
        evaluation=read_evaluation(folder),
        others=find_results(folder),
        commands=_commands(folder, state["source"], _options(described, info)),
    )


def utc(seconds: float) -> str:
    """Returns a Unix time as ISO 8601 in UTC."""
    moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return moment.isoformat(timespec="seconds")


def describe_data(info: DatasetInfo, read: dict[str, int] | None = None) -> DataFacts:
    """Returns the facts of the images.

    Args:
        info: of the images that are trained on.
        read: split → number of images of the source, where it is known.
    """
    return DataFacts(
        source=info.source,
        class_names=info.class_names,
        counts=info.counts,
        read=read or {},
        notes=(*info.notes, *info.notes_of_classes),
    )


def read_quarantine(path: str) -> QuarantineFacts | None:
    """Returns the facts of a list of unusable images; None if there is no such file."""
    if not storage.exists(path):
        return None
    lines = filter(str.strip, storage.read_text(path).split("\n"))
    examples: dict[str, list[str]] = collections.defaultdict(list)
    for record in map(json.loads, lines):
        examples[record["reason"]].append(record["source"])
    by_number = sorted(examples.items(), key=lambda item: -len(item[1]))
    return QuarantineFacts(
        images=sum(map(len, examples.values())),
        reasons={reason: (len(found), found[0]) for reason, found in by_number},
        file=path,
    )


def _newest_training(logs: str) -> TrainingFacts | None:
    names = storage.list_names(logs) if storage.is_folder(logs) else []
    return curves.read_training(os.path.join(logs, names[-1])) if names else None


def _options(recipe: RecipeFacts, info: DatasetInfo | None) -> list[str]:
    """The file of --exclude is not stored; a note says that there was one."""
    start = f"images excluded by {EXCLUDE}"
    is_reduced = any(note.startswith(start) for note in (info.notes if info else ()))
    return [*recipe_changes.option_words(recipe), *([f"{EXCLUDE}=FILE"] if is_reduced else [])]


def _commands(folder: str, source: str, recipe_options: list[str]) -> tuple[Command, ...]:
    folder = console.short_path(folder)
    wanted = {
        "train again": ("train", f"--source={source}", *recipe_options, "--output=NEW_FOLDER"),
        "evaluate on the test split": ("evaluate", folder, f"--source={source}"),
        "classify an image": ("predict", folder, "IMAGE"),
    }
    found = [
        Command(title, console.command_line("mixer", *words)) for title, words in wanted.items()
    ]
    logs = console.command_line("tensorboard", "--logdir", os.path.join(folder, "logs"))
    return (*found, Command("show the curves in TensorBoard", logs))
