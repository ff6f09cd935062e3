# SPDX-License-Identifier: Apache-2.0
"""A training without TFX, from a source of images to one folder. What `mixer train` calls."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from mixer_tf import console, storage, workers
from mixer_tf.datasets import excluded_images, source_writing
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.datasets.quarantine_limit import QuarantineLimit
from mixer_tf.datasets.sources.source import Source
from mixer_tf.features import EVAL, TRAIN
from mixer_tf.recipes.schema import Recipe
from mixer_tf.training import cluster, requirements
from mixer_tf.training.checkpoint_options import CheckpointOptions
from mixer_tf.training.forecast import Forecast
from mixer_tf.training.profiled_steps import ProfiledSteps
from mixer_tf.training.run_directory import RunDirectory

if TYPE_CHECKING:
    import tensorflow as tf

    from mixer_tf.training.trainer import Fitted

_POLL_SECONDS = 1.0
_WAIT_SECONDS = 3600.0
_CHIEF_SECONDS = 10.0


def train_source(
    source: Source,
    recipe: Recipe,
    root: str,
    *,
    strategy: str | tf.distribute.Strategy = "auto",
    restart: bool = False,
    limit: QuarantineLimit | None = None,
    progress: contextlib.AbstractContextManager | None = None,
    prepared: Callable[[DatasetInfo], None] | None = None,
    **options,
) -> Fitted | None:
    """Trains a recipe on a source; called again after an interruption, it resumes.

    However often that happens, the result is that of an undisturbed training (see `trainer.fit`).

    Args:
        source: an open source.
        recipe: the model and the training.
        root: the folder that `RunDirectory` describes.
        strategy: a name that `distribution.create_strategy` knows, or its result. Several workers
            must create theirs before they open the source.
        restart: see `RunDirectory.claim`.
        limit: how many images may be unusable; None for any number.
        progress: entered while images are checked; its value is called from time to time with their
            number.
        prepared: called with what describes the images, before the training.
        options: `checkpoints`, `profile`, `planned` and `verbose` of `train_prepared`.

    Returns:
        The result; None if an earlier call has written the model.

    Raises:
        ValueError: the folder holds something else or is in use, there is nothing to train on, or
            the recipe does not fit its weights or the devices.
        DownloadError: the weights of the recipe cannot be downloaded.
    """
    output = RunDirectory(root)
    with output.lock():
        if isinstance(strategy, str):
            strategy = requirements.create_strategy(strategy, recipe)
        if not restart and output.finish(source, recipe):
            return None
        with progress or contextlib.nullcontext() as count:
            info = prepare(source, recipe, output, count, restart=restart, limit=limit)
        if prepared:
            prepared(info)
        return train_prepared(info, recipe, output, strategy=strategy, **options)


def train_prepared(
    info: DatasetInfo,
    recipe: Recipe,
    output: RunDirectory,
    *,
    strategy: tf.distribute.Strategy,
    checkpoints: CheckpointOptions | None = None,
    profile: ProfiledSteps | None = None,
    planned: Forecast | None = None,
    verbose: bool = True,
) -> Fitted:
    """Trains on the images that `prepare` has written, and exports the model.

    Args:
        info: what `prepare` has returned.
        recipe: the model and the training.
        output: the folder, of which the caller holds the lock.
        strategy, checkpoints, profile, planned, verbose: see `trainer.fit`.
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
        planned=planned,
        verbose=verbose,
    )
    # Before the checkpoints are removed, without which the training counts as complete.
    write_timing = functools.partial(_write_timing, fitted, strategy, output)
    with console.activity("writing and checking the model"):
        export_fitted(fitted, info.class_names, output.model, write_timing)
    return fitted


def _write_timing(fitted: Fitted, strategy: tf.distribute.Strategy, output: RunDirectory) -> None:
    """Writes what `planning.run_costs` needs to tell the core-days of the run."""
    from mixer_tf.training import distribution

    kind, name = distribution.describe(strategy)
    replicas = strategy.num_replicas_in_sync
    content = {
        "device": kind,
        "strategy": name,
        "cores": workers.count_processors() * replicas if kind == "CPU" else replicas,
        "seconds": fitted.seconds,
        "first_step": fitted.first_step,
        **dataclasses.asdict(fitted.timing),
    }
    storage.write_text(output.timing, json.dumps(content, indent=2))


def prepare(
    source: Source,
    recipe: Recipe,
    output: RunDirectory,
    progress: Callable[[int], None] | None = None,
    *,
    restart: bool = False,
    limit: QuarantineLimit | None = None,
) -> DatasetInfo:
    """Claims the folder and writes the images to it, unless an earlier call has done so.

    With several workers that share the folder, the chief does it and the others wait.

    Args:
        source, recipe, restart: as in `train_source`.
        output: the folder.
        progress: called from time to time with the number of images that were checked.
        limit: how many images may be unusable; None for any number.

    Raises:
        ValueError, DownloadError: see `RunDirectory.claim` and `source_writing.write_source`.
        ConnectionError: the chief has died.
        TimeoutError: the chief has not done it within an hour.
    """
    if restart and cluster.num_workers() > 1:
        raise ValueError(
            "--restart must be for one worker alone, because the others may still read what it "
            f"removes; got {cluster.num_workers()} workers. Remove {output.root} first."
        )
    if not cluster.is_chief():
        requirements.require_weights(recipe)
        _wait_for(output, source, recipe)
        return DatasetInfo.read(output.data)
    is_complete = output.claim(source, recipe, restart)
    excluded_images.write(source, output.data)
    if is_complete:
        info = DatasetInfo.read(output.data)
        if limit:
            limit.require(output.quarantine, sum(info.examples.values()), is_kept=True)
        return info
    return source_writing.write_source(source, output.data, progress, limit)


def _wait_for(output: RunDirectory, source: Source, recipe: Recipe) -> None:
    deadline = time.monotonic() + _WAIT_SECONDS
    chief = _Chief()
    while not output.is_prepared(source, recipe):
        if time.monotonic() > deadline:
            raise TimeoutError(
                f"the first worker must write {output.dataset_file} for the same images and "
                f"recipe; it has not within {_WAIT_SECONDS / 3600:.0f} hour. Look at its messages, "
                "and check that all workers share the output folder and the images."
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
