# SPDX-License-Identifier: Apache-2.0
"""A training without TFX, from a source of images to one folder. What `mixer train` calls.

The folder holds

* `serving/1`: the model, where a model server and `mixer predict` look for it,
* `data/`: the images as TFRecords, `dataset.json`, and `quarantine.jsonl` for unusable ones,
* `logs/`: for TensorBoard,
* `checkpoints/`: while the training is not finished,
* `training.json`: the source and the recipe, by which an interrupted training is recognized.
"""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from mixer_tf import storage
from mixer_tf.datasets import examples, validation
from mixer_tf.datasets.info import FILE_NAME, DatasetInfo
from mixer_tf.datasets.sources.source import Source
from mixer_tf.features import EVAL, TRAIN
from mixer_tf.recipes.schema import Recipe
from mixer_tf.serving.locations import MODEL_FILE, SERVING
from mixer_tf.training import cluster

if TYPE_CHECKING:
    import tensorflow as tf

    from mixer_tf.training.trainer import Fitted

_STATE_FILE = "training.json"
_POLL_SECONDS = 1.0
_WAIT_SECONDS = 3600.0

# Key of the state -> what error messages call it.
_TITLES = {"source": "source", "fingerprint": "state of the images", "recipe": "recipe"}


@dataclasses.dataclass(frozen=True)
class RunDirectory:
    """The folder of one training.

    Attributes:
        root: path of the folder.
    """

    root: str

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
    def quarantine(self) -> str:
        return os.path.join(self.data, validation.FILE_NAME)

    def count_quarantined(self) -> int:
        """Returns the number of images that could not be used."""
        if not storage.exists(self.quarantine):
            return 0
        return storage.read_text(self.quarantine).count("\n")

    def is_prepared(self, recipe: Recipe) -> bool:
        """Whether the folder holds the complete data of a training with this recipe."""
        state = self._read_state()
        return bool(state) and state["recipe"] == _plain(recipe) and self._has_data()

    def claim(self, source: Source, recipe: Recipe, restart: bool = False) -> bool:
        """Reserves the folder for this training, and returns whether its data are complete.

        A training whose data were never complete gives way to another one.

        Args:
            source: an open source.
            recipe: the recipe of the training.
            restart: whether to remove the data, the checkpoints and the logs of an unfinished
                training, this one or another.

        Raises:
            ValueError: the folder holds a finished model, another training or other files.
        """
        self._require_local()
        state = _state(source, recipe)
        earlier = self._read_state()
        if earlier is None:
            self._require_empty()
        else:
            self._require_unfinished()
            if not restart and earlier == state:
                return self._has_data()
            if not restart and self._has_data():
                raise ValueError(_other_training(self.root, earlier, state))
            self._remove_training()
        storage.make_folder(self.root)
        storage.write_text(self._state_path, json.dumps(state, indent=2, ensure_ascii=True))
        return False

    @property
    def _state_path(self) -> str:
        return os.path.join(self.root, _STATE_FILE)

    def _read_state(self) -> dict | None:
        if not storage.exists(self._state_path):
            return None
        return json.loads(storage.read_text(self._state_path))

    def _has_data(self) -> bool:
        return storage.exists(self.dataset_file)

    def _remove_training(self) -> None:
        """Removes everything but `training.json`; safe to be killed in between."""
        if self._has_data():
            os.remove(self.dataset_file)  # first: without it, no training uses what is left
        for folder in (self.checkpoints, self.data, self.logs):
            storage.remove_folder(folder)

    def _require_local(self) -> None:
        if storage.is_remote(self.root):
            raise ValueError(
                f"the output must be a folder of this machine; got {self.root}. "
                "Copy it there afterwards."
            )

    def _require_empty(self) -> None:
        if storage.is_folder(self.root) and storage.list_names(self.root):
            raise ValueError(
                f"the output must be a new or empty folder; {self.root} holds other files. "
                "Name another one."
            )

    def _require_unfinished(self) -> None:
        if storage.exists(os.path.join(self.model, MODEL_FILE)):
            raise ValueError(
                f"{self.root} holds a finished model already. Name another output, or remove it."
            )


def _state(source: Source, recipe: Recipe) -> dict:
    return {
        "source": source.spec,
        "fingerprint": source.fingerprint(),
        "recipe": _plain(recipe),
    }


def _plain(recipe: Recipe) -> dict:
    """Returns the recipe as JSON gives it back: with lists for tuples."""
    return json.loads(recipe.to_json())


def _other_training(root: str, earlier: dict, state: dict) -> str:
    changed = [title for key, title in _TITLES.items() if earlier[key] != state[key]]
    return (
        f"{root} holds an unfinished training with another {' and '.join(changed)}. Start that "
        "one again to finish it, replace it with --restart, or name another output."
    )


def train_source(
    source: Source,
    recipe: Recipe,
    root: str,
    *,
    strategy: str | tf.distribute.Strategy = "auto",
    progress: Callable[[int], None] | None = None,
    restart: bool = False,
    verbose: bool = True,
) -> Fitted:
    """Trains a recipe on a source; called again after an interruption, it resumes.

    Args:
        source: an open source.
        recipe: the model and the training.
        root: the folder that `RunDirectory` describes.
        strategy: a name that `distribution.create_strategy` knows, or its result. Several workers
            must create theirs before they open the source.
        progress: called from time to time with the number of images that were checked.
        restart: see `RunDirectory.claim`.
        verbose: whether to show the progress of the training.

    Raises:
        ValueError: the folder holds something else, or there is nothing to train on.
    """
    from mixer_tf.training import distribution, trainer
    from mixer_tf.training.exporting import export_fitted
    from mixer_tf.training.input.split import open_splits

    if isinstance(strategy, str):
        strategy = distribution.create_strategy(strategy)
    output = RunDirectory(root)
    info = prepare(source, recipe, output, progress, restart=restart)
    splits = open_splits(output.data, info)
    fitted = trainer.fit(
        recipe,
        splits[TRAIN],
        splits.get(EVAL),
        strategy=strategy,
        checkpoint_dir=output.checkpoints,
        log_dir=output.logs,
        verbose=verbose,
    )
    export_fitted(fitted, info.class_names, output.model)
    return fitted


def prepare(
    source: Source,
    recipe: Recipe,
    output: RunDirectory,
    progress: Callable[[int], None] | None = None,
    *,
    restart: bool = False,
) -> DatasetInfo:
    """Claims the folder and writes the images to it, unless an earlier call has done so.

    With several workers that share the folder, the chief does it and the others wait.

    Args:
        source, recipe, progress, restart: as in `train_source`.
        output: the folder.

    Raises:
        ValueError: the folder holds something else; see `RunDirectory.claim`.
        TimeoutError: the chief has not done it within an hour.
    """
    if not cluster.is_chief():
        _wait_for(output, recipe)
        return DatasetInfo.read(output.data)
    if output.claim(source, recipe, restart):
        return DatasetInfo.read(output.data)
    return examples.write_source(source, output.data, progress)


def _wait_for(output: RunDirectory, recipe: Recipe) -> None:
    deadline = time.monotonic() + _WAIT_SECONDS
    while not output.is_prepared(recipe):
        if time.monotonic() > deadline:
            raise TimeoutError(
                f"the first worker must write {output.dataset_file} for the same recipe; it has "
                f"not within {_WAIT_SECONDS / 3600:.0f} hour. Look at its messages, and check "
                "that all workers share the output folder."
            )
        time.sleep(_POLL_SECONDS)
