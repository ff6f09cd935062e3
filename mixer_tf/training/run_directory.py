# SPDX-License-Identifier: Apache-2.0
"""RunDirectory: the folder of one training, which an interrupted training finds again.

The folder holds

* `serving/1`: the model, where a model server and `mixer predict` look for it,
* `data/`: the images as TFRecords, `dataset.json`, `quarantine.jsonl` for unusable ones, and
  `excluded.txt` for those that --exclude leaves out,
* `logs/`: for TensorBoard, one run, named after the recipe and the time of its start,
* `checkpoints/`: while the training is not finished,
* `timing.json`: what the training took, and on which devices,
* `training.json`: the source and the recipe, by which an interrupted training is recognized, and
  the folder of prepared TFDS datasets, where one was stated,
* `.lock`: while a process uses the folder.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator

from mixer_tf import locks, storage
from mixer_tf.checkpoints.initial_weights import weights_state
from mixer_tf.datasets import excluded_images, validation
from mixer_tf.datasets.info import FILE_NAME
from mixer_tf.datasets.sources.source import Source
from mixer_tf.recipes.schema import Recipe
from mixer_tf.serving.locations import MODEL_FILE, SERVING
from mixer_tf.training import cluster, requirements

STATE_FILE = "training.json"
TIMING_FILE = "timing.json"
TRIALS = "trials"  # of `mixer sweep`, which keeps its images here as well
_FIELDS_SHOWN = 5
_DATA_DIR = "data_dir"  # key of the state file that identifies no training

# Key of the state -> what error messages call it.
_TITLES = {
    "source": "source",
    "fingerprint": "state of the images",
    "recipe": "recipe",
    "weights": "state of the initial weights",
}


@dataclasses.dataclass(frozen=True)
class RunDirectory:
    """The folder of one training.

    Attributes:
        root: path of the folder.

    Raises:
        ValueError: TensorFlow would read the path as a pattern.
    """

    root: str

    def __post_init__(self):
        storage.require_literal(self.root, "the output")

    @property
    def model(self) -> str:
        return os.path.join(self.root, SERVING, "1")

    @property
    def data(self) -> str:
        return os.path.join(self.root, "data")

    @property
    def dataset_file(self) -> str:
        """The last file of the data that is written; it exists when they are complete."""
        return os.path.join(self.data, FILE_NAME)

    @property
    def logs(self) -> str:
        return os.path.join(self.root, "logs")

    @property
    def checkpoints(self) -> str:
        return os.path.join(self.root, "checkpoints")

    @property
    def timing(self) -> str:
        return os.path.join(self.root, TIMING_FILE)

    @property
    def quarantine(self) -> str:
        return os.path.join(self.data, validation.FILE_NAME)

    @property
    def excluded(self) -> str:
        """The list of the images that were left out; it exists only where there are some."""
        return os.path.join(self.data, excluded_images.FILE_NAME)

    def count_quarantined(self) -> int:
        """Returns the number of images that could not be used."""
        if not storage.exists(self.quarantine):
            return 0
        return storage.read_text(self.quarantine).count("\n")

    def lock(self) -> contextlib.AbstractContextManager[None]:
        """Keeps other processes from training into the folder; of several workers, the chief does.

        Raises:
            ValueError: upon entering, another process uses the folder.
        """
        self._require_local()
        if not cluster.is_chief():
            return contextlib.nullcontext()
        return locks.exclusive(self.root, "Wait until it has ended, or name another output.")

    def is_prepared(self, source: Source, recipe: Recipe) -> bool:
        """Whether the folder holds the complete data of this source for this recipe."""
        return self.read_state() == _state(source, recipe) and self._has_data()

    def read_state(self) -> dict | None:
        """Returns the source, its fingerprint and the recipe of the training; None without one."""
        stored = self._read_stored()
        return stored and {name: value for name, value in stored.items() if name != _DATA_DIR}

    def read_data_dir(self) -> str | None:
        """Returns the folder of prepared TFDS datasets that was stated; None without one."""
        return (self._read_stored() or {}).get(_DATA_DIR)

    def _read_stored(self) -> dict | None:
        if not storage.exists(self._state_path):
            return None
        return json.loads(storage.read_text(self._state_path))

    def claim(self, source: Source, recipe: Recipe, restart: bool = False) -> bool:
        """Reserves the folder for this training, and returns whether its data are complete.

        A training that has saved nothing gives way to another one, which uses its data
        where the source is the same. Weights that are missing are noticed before anything is
        written or removed.

        Args:
            source: an open source.
            recipe: the recipe of the training.
            restart: whether to remove the data, the checkpoints and the logs of an unfinished
                training, this one or another.

        Raises:
            ValueError: the folder holds a finished model, another training, a search on other
                images, or other files; or the weights of the recipe cannot be used.
            DownloadError: the weights of the recipe cannot be downloaded.
        """
        self._require_local()
        state = _state(source, recipe)
        earlier = self.read_state()
        resumes = earlier == state and not restart
        self._require_claimable(earlier, state, restart)
        requirements.require_weights(recipe)
        if resumes:
            return self._has_data()
        if earlier is not None:
            is_same_data = self._has_data() and _data_state(earlier) == _data_state(state)
            self._remove_training(keep_data=is_same_data and not restart)
        storage.make_folder(self.root)
        stored = {**state, **({_DATA_DIR: source.data_dir} if source.data_dir else {})}
        storage.write_text(self._state_path, json.dumps(stored, indent=2, ensure_ascii=True))
        return self._has_data()

    def finish(self, source: Source, recipe: Recipe) -> bool:
        """Completes a training that was killed after its model was written, or that is complete.

        Args:
            source, recipe: see `claim`.

        Returns:
            Whether the folder holds the model of this recipe on this source.
        """
        if not self._has_model():
            return False
        if not cluster.is_chief():  # it would wait for the chief, which has nothing to train
            return self.is_prepared(source, recipe)
        if self.read_state() != _state(source, recipe):
            return False
        storage.remove_folder(self.checkpoints)
        return True

    def _require_claimable(self, earlier: dict | None, state: dict, restart: bool) -> None:
        if earlier is None:
            return self._require_empty()
        if self._has_model():
            raise ValueError(
                f"{self.root} holds a finished model already{_differences(earlier, state)}, which "
                "--restart does not replace. Name another output, or remove it."
            )
        if _data_state(earlier) != _data_state(state) and self._has_trials():
            raise ValueError(
                f"{self.root} holds the trials of a search on other images"
                f"{_differences(earlier, state)}. Name another output, or remove it."
            )
        if earlier != state and not restart and self._has_data() and self._has_begun():
            raise ValueError(_other_training(self.root, earlier, state))

    @property
    def _state_path(self) -> str:
        return os.path.join(self.root, STATE_FILE)

    def _has_data(self) -> bool:
        return storage.exists(self.dataset_file)

    def _has_model(self) -> bool:
        return storage.exists(os.path.join(self.model, MODEL_FILE))

    def _has_begun(self) -> bool:
        """Whether a step was saved, the weights of which would be lost."""
        return storage.exists(self.checkpoints) and bool(storage.list_names(self.checkpoints))

    def _has_trials(self) -> bool:
        return storage.exists(os.path.join(self.root, TRIALS))

    def _remove_training(self, keep_data: bool = False) -> None:
        """Removes everything but `training.json`; safe to be killed in between."""
        if self._has_data() and not keep_data:
            os.remove(self.dataset_file)  # first: without it, no training uses what is left
        partial_model = os.path.join(self.root, SERVING, storage.partial_name("1"))
        data = [] if keep_data else [self.data]
        for folder in (self.checkpoints, self.logs, partial_model, *data):
            storage.remove_folder(folder)

    def _require_local(self) -> None:
        if storage.is_remote(self.root):
            raise ValueError(
                f"the output must be a folder of this machine; got {self.root}. "
                "Copy it there afterwards."
            )

    def _require_empty(self) -> None:
        if locks.list_other_files(self.root, STATE_FILE):
            raise ValueError(
                f"the output must be a new or empty folder; {self.root} holds other files. "
                "Name another one."
            )


def _state(source: Source, recipe: Recipe) -> dict:
    weights = weights_state(recipe.model.weights)
    return {
        "source": source.spec,
        "fingerprint": source.fingerprint(),
        "recipe": _plain(recipe),
        **({"weights": weights} if weights else {}),
    }


def _data_state(state: dict) -> dict:
    return {key: state[key] for key in ("source", "fingerprint")}


def _plain(recipe: Recipe) -> dict:
    """Returns the recipe as JSON gives it back: with lists for tuples."""
    return json.loads(recipe.to_json())


def _other_training(root: str, earlier: dict, state: dict) -> str:
    changed = [title for key, title in _TITLES.items() if earlier.get(key) != state.get(key)]
    return (
        f"{root} holds an unfinished training with another {' and '.join(changed)}"
        f"{_differences(earlier, state)}. Start that one again to finish it, replace it with "
        "--restart, or name another output."
    )


def _differences(earlier: dict, state: dict) -> str:
    """Such as " (training.epochs was 3, now 7; and 2 more)"; "" if only the images differ."""
    hidden = {"fingerprint": "", "weights": ""}
    before, now = (dict(_flat({**each, **hidden})) for each in (earlier, state))
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    clauses = [f"{name} was {before.get(name)}, now {now.get(name)}" for name in names]
    more = len(clauses) - _FIELDS_SHOWN
    clauses[_FIELDS_SHOWN:] = [f"and {more} more"] if more > 0 else []
    return f" ({'; '.join(clauses)})" if clauses else ""


def _flat(values: dict, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yields ("training.epochs", 3) for each field of a recipe, however deep."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}".removeprefix("recipe."), value
