# SPDX-License-Identifier: Apache-2.0
"""StudyFolder: the folder of a study of many trainings, which the same command finds again.

The folder holds

* `data/`, and for some studies further folders: images as TFRecords, as `mixer train` writes them,
* `trials/NAME/`: of each training, its `result.json` or, while it is not finished, its checkpoints,
* `study.json`: the sources of the images, by which the study is recognized,
* `.lock`: while a process uses the folder,
* the results: what the command says.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Callable

from mixer_tf import locks, storage
from mixer_tf.checkpoints.initial_weights import weights_state
from mixer_tf.datasets import source_writing
from mixer_tf.datasets.info import FILE_NAME, DatasetInfo
from mixer_tf.datasets.quarantine_limit import QuarantineLimit
from mixer_tf.datasets.sources.source import Source
from mixer_tf.recipes.schema import Recipe

DATA = "data"
_STATE = "study.json"
_RESULT = "result.json"
_MAX_NAME = 60


@dataclasses.dataclass(frozen=True)
class Trial:
    """One training of a study.

    Attributes:
        model: what the recipe is called in the results, such as "mixer_s32".
        recipe: the whole recipe.
        settings: what distinguishes it from others of the same recipe, such as {"share": 0.03};
            JSON.
        measured: what is the same for all, but decides the result as well; JSON.
    """

    model: str
    recipe: Recipe
    settings: dict[str, object]
    measured: dict[str, object] = dataclasses.field(default_factory=dict)

    @property
    def folder_name(self) -> str:
        """A readable name that differs for other recipes, initial weights and settings."""
        words = [self.model, *(f"{key}={value}" for key, value in self.settings.items())]
        readable = re.sub(r"[^\w=.,+-]", "_", ",".join(words))[:_MAX_NAME]
        content = [self.model, self.recipe.to_dict(), self.settings, self.measured]
        weights = weights_state(self.recipe.model.weights)
        content += [weights] if weights else []
        text = json.dumps(content, sort_keys=True)
        return f"{readable}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


@dataclasses.dataclass(frozen=True)
class StudyFolder:
    """The folder of one study.

    Attributes:
        root: path of the folder, on this machine.

    Raises:
        ValueError: the folder is not on this machine, or TensorFlow would read its path as a
            pattern.
    """

    root: str

    def __post_init__(self):
        storage.require_literal(self.root, "the output")
        if storage.is_remote(self.root):
            raise ValueError(
                f"the output must be a folder of this machine; got {self.root}. "
                "Copy it there afterwards."
            )

    def path(self, name: str) -> str:
        """Returns the path of a file or folder in it."""
        return os.path.join(self.root, name)

    def lock(self) -> contextlib.AbstractContextManager[None]:
        """Keeps other processes from using the folder.

        Raises:
            ValueError: upon entering, another process uses it.
        """
        return locks.exclusive(self.root, "Wait until it has ended, or name another output.")

    def claim(self, kind: str, sources: dict[str, Source]) -> None:
        """Reserves a new or empty folder for a study, or recognizes the one that it holds.

        Args:
            kind: the name of the study.
            sources: name of a folder of images → their source.

        Raises:
            ValueError: the folder holds another study, the same one of other images, or other
                files.
        """
        states = {name: _state(source) for name, source in sources.items()}
        state = {"study": kind, "sources": states}
        path = self.path(_STATE)
        if storage.exists(path):
            return _require_same(self.root, json.loads(storage.read_text(path)), state)
        if locks.list_other_files(self.root, _STATE):
            raise ValueError(
                f"the output must be a new or empty folder, or hold this study; {self.root} holds "
                "other files. Name another one."
            )
        storage.make_folder(self.root)
        storage.write_text(path, json.dumps(state, indent=2))

    def prepare(
        self,
        source: Source,
        name: str = DATA,
        progress: Callable[[int], None] | None = None,
        limit: QuarantineLimit | None = None,
    ) -> DatasetInfo:
        """Writes the images of a claimed source, unless an earlier call has done so.

        Args:
            source: an open source.
            name: name of the folder that it is claimed for.
            progress, limit: see `source_writing.write_source`.
        """
        folder = self.path(name)
        if storage.exists(os.path.join(folder, FILE_NAME)):
            return DatasetInfo.read(folder)
        return source_writing.write_source(source, folder, progress, limit)

    def trial_folder(self, trial: Trial) -> str:
        """Returns the folder of one training."""
        return os.path.join(self.root, "trials", trial.folder_name)

    def checkpoints(self, trial: Trial) -> str:
        """Returns the folder of the checkpoints of one training."""
        return os.path.join(self.trial_folder(trial), "checkpoints")

    def read_result(self, trial: Trial) -> dict | None:
        """Returns what an earlier run of the same training has reached; None if there is none."""
        path = os.path.join(self.trial_folder(trial), _RESULT)
        return json.loads(storage.read_text(path)) if storage.exists(path) else None

    def write_result(self, trial: Trial, result: dict) -> None:
        """Stores the result of a training, which is not repeated from then on."""
        folder = self.trial_folder(trial)
        storage.make_folder(folder)
        storage.write_text(os.path.join(folder, _RESULT), json.dumps(result, indent=2))
        storage.remove_folder(self.checkpoints(trial))


def _state(source: Source) -> dict[str, str]:
    return {"source": source.spec, "fingerprint": source.fingerprint()}


def _require_same(root: str, earlier: dict, state: dict) -> None:
    if earlier["study"] != state["study"]:
        what = f"the study {earlier['study']!r}"
    elif set(earlier["sources"]) != set(state["sources"]):
        what = f"this study with the images {', '.join(sorted(earlier['sources']))}"
    else:
        changed = [n for n, each in state["sources"].items() if earlier["sources"][n] != each]
        if not changed:
            return
        before, now = (each["sources"][changed[0]]["source"] for each in (earlier, state))
        what = (
            f"this study of {before}"
            if before != now
            else f"this study of {now} before its images changed"
        )
    raise ValueError(
        f"the output must be new, or hold the same study of the same images; {root} holds {what}. "
        "Name another output."
    )
