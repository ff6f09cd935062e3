# SPDX-License-Identifier: Apache-2.0
"""The facts of a training by `mixer train`, read from its output folder."""

from __future__ import annotations

import json
import os
import shlex

from mixer_tf import storage
from mixer_tf.datasets.excluded_images import OPTION as EXCLUDE
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.recipes.schema import Recipe
from mixer_tf.reports import curves, model_card, recipe_changes
from mixer_tf.reports.data_facts import describe_data, read_quarantine
from mixer_tf.reports.facts import (
    COMPLETE,
    TRAINING,
    UNFINISHED,
    Command,
    RecipeFacts,
    RunFacts,
    TrainingFacts,
    utc,
)
from mixer_tf.reports.other_results import find_results, read_evaluation
from mixer_tf.serving import lineage
from mixer_tf.serving.locations import MODEL_FILE
from mixer_tf.training.run_directory import STATE_FILE, RunDirectory


def is_training(folder: str) -> bool:
    """Whether `mixer train` has written to a folder."""
    return storage.exists(os.path.join(folder, STATE_FILE)) and not is_search(folder)


def is_search(folder: str) -> bool:
    """Whether `mixer sweep` has written to a folder: it holds trials instead of a model."""
    return storage.exists(os.path.join(folder, STATE_FILE)) and storage.is_folder(
        os.path.join(folder, "trials")
    )


def read(folder: str) -> RunFacts:
    """Returns the facts of a training, finished or not.

    Args:
        folder: the output of `mixer train`.

    Raises:
        ValueError: `mixer train` has not written there.
    """
    output = RunDirectory(folder)
    source, fingerprint, recipe = _read_state(output)
    data_dir = output.read_data_dir()
    info = DatasetInfo.read(output.data) if storage.exists(output.dataset_file) else None
    model = output.model if storage.exists(os.path.join(output.model, MODEL_FILE)) else ""
    is_complete = bool(model) and not storage.exists(output.checkpoints)
    described = recipe_changes.describe(recipe, info.num_classes if info else None)
    started = os.path.getmtime(os.path.join(folder, STATE_FILE))
    return RunFacts(
        kind=TRAINING,
        name=os.path.basename(os.path.abspath(folder)),
        root=os.path.abspath(folder),
        started=utc(started),
        written=utc(),
        state=COMPLETE if is_complete else UNFINISHED,
        model=model,
        data=describe_data(info, fingerprint=fingerprint) if info else None,
        quarantine=read_quarantine(output.quarantine),
        recipe=described,
        training=_newest_training(output.logs),
        evaluation=read_evaluation(folder, source),
        others=find_results(folder),
        commands=_commands(
            folder,
            [f"--source={source}", *([f"--data-dir={data_dir}"] if data_dir else [])],
            _options(described, info, output.excluded, model),
        ),
    )


def write_card(root: str) -> str | None:
    """Writes the card beside the model of `mixer train`, and returns its path.

    Args:
        root: the output of `mixer train`.

    Returns:
        None where there is no model.
    """
    facts = read(root)
    if not facts.model:
        return None
    path = lineage.card_path(facts.model)
    storage.write_text(path, model_card.render(facts))
    return path


def _read_state(output: RunDirectory) -> tuple[str, str, Recipe]:
    """The source, its fingerprint and the recipe of a training."""
    try:
        state = output.read_state()
        if state is not None:
            recipe = Recipe.from_json(json.dumps(state["recipe"]))
            return state["source"], state["fingerprint"], recipe
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{os.path.join(output.root, STATE_FILE)} must be what `mixer train` writes; {error}."
        ) from None
    raise ValueError(f"the folder must be an output of mixer train; got {output.root}.")


def _newest_training(logs: str) -> TrainingFacts | None:
    names = storage.list_names(logs) if storage.is_folder(logs) else []
    return curves.read_training(os.path.join(logs, names[-1])) if names else None


def _options(recipe: RecipeFacts, info: DatasetInfo | None, excluded: str, model: str) -> list[str]:
    """Those of `mixer train`; older versions did not store the list of --exclude, but a note."""
    folder = os.path.abspath(model) if model else ""
    words = recipe_changes.option_words(recipe, model=folder)
    if storage.exists(excluded):
        return [*words, f"{EXCLUDE}={os.path.abspath(excluded)}"]
    start = f"images excluded by {EXCLUDE}"
    is_reduced = any(note.startswith(start) for note in (info.notes if info else ()))
    return [*words, *([f"{EXCLUDE}=FILE"] if is_reduced else [])]


def _commands(folder: str, source: list[str], recipe_options: list[str]) -> tuple[Command, ...]:
    folder = os.path.abspath(folder)
    wanted = {
        "train again": ("train", *source, *recipe_options, "--output=NEW_FOLDER"),
        "evaluate on the test split": ("evaluate", folder, *source),
        "classify an image": ("predict", folder, "IMAGE"),
    }
    logs = ("tensorboard", "--logdir", os.path.join(folder, "logs"))
    return (
        *(Command(title, shlex.join(["mixer", *words])) for title, words in wanted.items()),
        Command("show the curves in TensorBoard", shlex.join(logs)),
    )
