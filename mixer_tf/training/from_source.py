# SPDX-License-Identifier: Apache-2.0
"""A training without TFX, from a source of images to one folder. What `mixer train` calls.

The folder holds

* `serving/1`: the model, where a model server and `mixer predict` look for it,
* `data/`: the images as TFRecords, `dataset.json`, and `quarantine.jsonl` for unusable ones,
* `logs/`: for TensorBoard, one run, named after the recipe and the time of its start,
* `checkpoints/`: while the training is not finished,
* `training.json`: the source and the recipe, by which an interrupted training is recognized,
* `.lock`: while a process uses the folder.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from mixer_tf import locks, storage
from mixer_tf.datasets import examples, validation
from mixer_tf.datasets.info import FILE_NAME, DatasetInfo
from mixer_tf.datasets.sources.source import Source
from mixer_tf.features import EVAL, TRAIN
from mixer_tf.recipes.schema import Recipe
from mixer_tf.serving.locations import MODEL_FILE, SERVING
from mixer_tf.training import cluster, requirements
from mixer_tf.training.checkpoint_options import CheckpointOptions
from mixer_tf.training.profiled_steps import ProfiledSteps

if TYPE_CHECKING:
    import tensorflow as tf

    from mixer_tf.training.trainer import Fitted

_STATE_FILE = "training.json"
_POLL_SECONDS = 1.0
_WAIT_SECONDS = 3600.0
_CHIEF_SECONDS = 10.0
_FIELDS_SHOWN = 5

# What a killed run may leave before it has claimed the folder.
_OWN_FILES = {locks.FILE_NAME, storage.partial_name(_STATE_FILE)}

# Key of the state -> what error messages call it.
_TITLES = {"source": "source", "fingerprint": "state of the images", "recipe": "recipe"}


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
    def quarantine(self) -> str:
        return os.path.join(self.data, validation.FILE_NAME)

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

    def is_prepared(self, recipe: Recipe) -> bool:
        """Whether the folder holds the complete data of a training with this recipe."""
        state = self._read_state()
        return bool(state) and state["recipe"] == _plain(recipe) and self._has_data()

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
            ValueError: the folder holds a finished model, another training or other files; or the
                weights of the recipe cannot be used.
            DownloadError: the weights of the recipe cannot be downloaded.
        """
        self._require_local()
        state = _state(source, recipe)
        earlier = self._read_state()
        resumes = earlier == state and not restart
        self._require_claimable(earlier, state, restart)
        requirements.require_weights(recipe)
        if resumes:
            return self._has_data()
        if earlier is not None:
            is_same_data = self._has_data() and _data_state(earlier) == _data_state(state)
            self._remove_training(keep_data=is_same_data and not restart)
        storage.make_folder(self.root)
        storage.write_text(self._state_path, json.dumps(state, indent=2, ensure_ascii=True))
        return self._has_data()

    def finish(self, source: Source, recipe: Recipe) -> bool:
        """Completes a training that was killed when only its checkpoints were left to remove.

        Args:
            source, recipe: see `claim`.

        Returns:
            Whether the folder held such a training of this recipe on this source.
        """
        if not cluster.is_chief():  # it would wait for the chief, which has nothing to train
            return self._has_model() and self.is_prepared(recipe)
        if not (self._has_model() and storage.exists(self.checkpoints)):
            return False
        storage.remove_folder(self.checkpoints)
        return self._read_state() == _state(source, recipe)

    def _require_claimable(self, earlier: dict | None, state: dict, restart: bool) -> None:
        if earlier is None:
            return self._require_empty()
        self._require_unfinished()
        if earlier != state and not restart and self._has_data() and self._has_begun():
            raise ValueError(_other_training(self.root, earlier, state))

    @property
    def _state_path(self) -> str:
        return os.path.join(self.root, _STATE_FILE)

    def _read_state(self) -> dict | None:
        if not storage.exists(self._state_path):
            return None
        return json.loads(storage.read_text(self._state_path))

    def _has_data(self) -> bool:
        return storage.exists(self.dataset_file)

    def _has_model(self) -> bool:
        return storage.exists(os.path.join(self.model, MODEL_FILE))

    def _has_begun(self) -> bool:
        """Whether a step was saved, the weights of which would be lost."""
        return storage.exists(self.checkpoints) and bool(storage.list_names(self.checkpoints))

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
        found = storage.list_names(self.root) if storage.is_folder(self.root) else []
        if set(found) - _OWN_FILES:
            raise ValueError(
                f"the output must be a new or empty folder; {self.root} holds other files. "
                "Name another one."
            )

    def _require_unfinished(self) -> None:
        if self._has_model():
            raise ValueError(
                f"{self.root} holds a finished model already, which --restart does not replace. "
                "Name another output, or remove it."
            )


def _state(source: Source, recipe: Recipe) -> dict:
    return {
        "source": source.spec,
        "fingerprint": source.fingerprint(),
        "recipe": _plain(recipe),
    }


def _data_state(state: dict) -> dict:
    return {key: state[key] for key in ("source", "fingerprint")}


def _plain(recipe: Recipe) -> dict:
    """Returns the recipe as JSON gives it back: with lists for tuples."""
    return json.loads(recipe.to_json())


def _other_training(root: str, earlier: dict, state: dict) -> str:
    changed = [title for key, title in _TITLES.items() if earlier[key] != state[key]]
    return (
        f"{root} holds an unfinished training with another {' and '.join(changed)}"
        f"{_differences(earlier, state)}. Start that one again to finish it, replace it with "
        "--restart, or name another output."
    )


def _differences(earlier: dict, state: dict) -> str:
    """Such as " (training.epochs was 3, now 7; and 2 more)"; "" if only the images differ."""
    before, now = (dict(_flat({**s, "fingerprint": ""})) for s in (earlier, state))
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


def train_source(
    source: Source,
    recipe: Recipe,
    root: str,
    *,
    strategy: str | tf.distribute.Strategy = "auto",
    progress: Callable[[int], None] | None = None,
    restart: bool = False,
    checkpoints: CheckpointOptions | None = None,
    verbose: bool = True,
) -> Fitted | None:
    """Trains a recipe on a source; called again after an interruption, it resumes.

    However often that happens, the result is that of an undisturbed training (see `trainer.fit`).

    Args:
        source: an open source.
        recipe: the model and the training.
        root: the folder that `RunDirectory` describes.
        strategy: a name that `distribution.create_strategy` knows, or its result. Several workers
            must create theirs before they open the source.
        progress: called from time to time with the number of images that were checked.
        restart: see `RunDirectory.claim`.
        checkpoints: when to save within epochs; None for the defaults.
        verbose: whether to show the progress of the training.

    Returns:
        The result; None if an earlier call was killed after it had written the model.

    Raises:
        ValueError: the folder holds something else or is in use, there is nothing to train on, or
            the recipe does not fit its weights or the devices.
        DownloadError: the weights of the recipe cannot be downloaded.
    """
    if isinstance(strategy, str):
        strategy = requirements.create_strategy(strategy, recipe)
    output = RunDirectory(root)
    with output.lock():
        if not restart and output.finish(source, recipe):
            return None
        info = prepare(source, recipe, output, progress, restart=restart)
        return train_prepared(
            info, recipe, output, strategy=strategy, checkpoints=checkpoints, verbose=verbose
        )


def train_prepared(
    info: DatasetInfo,
    recipe: Recipe,
    output: RunDirectory,
    *,
    strategy: tf.distribute.Strategy,
    checkpoints: CheckpointOptions | None = None,
    profile: ProfiledSteps | None = None,
    verbose: bool = True,
) -> Fitted:
    """Trains on the images that `prepare` has written, and exports the model.

    Args:
        info: what `prepare` has returned.
        recipe, strategy, checkpoints, verbose: see `train_source`.
        output: the folder, of which the caller holds the lock.
        profile: see `trainer.fit`.
    """
    from mixer_tf.training import trainer
    from mixer_tf.training.exporting import export_fitted
    from mixer_tf.training.input.split import open_splits
    from mixer_tf.training.tensorboard import runs

    splits = open_splits(output.data, info)
    fitted = trainer.fit(
        recipe,
        splits[TRAIN],
        splits.get(EVAL),
        strategy=strategy,
        checkpoint_dir=output.checkpoints,
        checkpoints=checkpoints,
        log_dir=runs.run_folder(output.logs, recipe.name),
        profile=profile,
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
        ValueError, DownloadError: see `RunDirectory.claim`.
        ConnectionError: the chief has died.
        TimeoutError: the chief has not done it within an hour.
    """
    if not cluster.is_chief():
        requirements.require_weights(recipe)
        _wait_for(output, recipe)
        return DatasetInfo.read(output.data)
    if output.claim(source, recipe, restart):
        return DatasetInfo.read(output.data)
    return examples.write_source(source, output.data, progress)


def _wait_for(output: RunDirectory, recipe: Recipe) -> None:
    deadline = time.monotonic() + _WAIT_SECONDS
    chief = _Chief()
    while not output.is_prepared(recipe):
        if time.monotonic() > deadline:
            raise TimeoutError(
                f"the first worker must write {output.dataset_file} for the same recipe; it has "
                f"not within {_WAIT_SECONDS / 3600:.0f} hour. Look at its messages, and check "
                "that all workers share the output folder."
            )
        chief.check()
        time.sleep(_POLL_SECONDS)


class _Chief:
    """The process of the first worker, which listens unless the strategy has only one worker."""

    def __init__(self):
        self._name = cluster.chief_name()
        self._address = cluster.other_workers()[self._name]
        self._seen_at: float | None = None

    def check(self) -> None:
        """Raises ConnectionError if it has listened and does no longer, for `_CHIEF_SECONDS`."""
        now = time.monotonic()
        if cluster.is_reachable(self._address):
            self._seen_at = now
        elif self._seen_at is not None and now - self._seen_at > _CHIEF_SECONDS:
            raise ConnectionError(
                f"{cluster.title(self._name)} must prepare the data; it failed or cannot be "
                "reached. Look for the reason in the messages there, then run the same command on "
                "all machines again."
            )
