# SPDX-License-Identifier: Apache-2.0
"""What a finished training has cost and reached, from its logs."""

from __future__ import annotations

import dataclasses
import glob
import json
import os
import statistics
from collections.abc import Iterator

from mixer_tf import storage
from mixer_tf.planning import devices
from mixer_tf.recipes.exported import read_recipe
from mixer_tf.recipes.schema import Recipe

_TOP_1, _RATE = "eval/top_1", "train/images_per_second"


@dataclasses.dataclass(frozen=True)
class RunCost:
    """A training.

    Attributes:
        folder: its folder.
        recipe: the recipe of its model, with the widths of upscaled weights.
        seconds: for how long its processes logged, all runs of a resumed training together.
        cores: number of cores or accelerators that worked in parallel.
        accuracy: the best top-1 on the evaluation split, in [0, 1]; None without one.
        images_per_second: median over the epochs of the training; None where it has no two steps.
        num_classes: number of classes.
        images: number of training images.
        eval_images: number of evaluation images.
    """

    folder: str
    recipe: Recipe
    seconds: float
    cores: int
    accuracy: float | None
    images_per_second: float | None
    num_classes: int
    images: int
    eval_images: int

    @property
    def core_days(self) -> float:
        """See `devices.core_days`."""
        return devices.core_days(self.seconds, self.cores)


def read(folder: str) -> RunCost:
    """Reads a folder that `mixer train` has written.

    Raises:
        ValueError: the folder is not that of a training that has ended.
    """
    from mixer_tf.datasets.info import DatasetInfo
    from mixer_tf.features import EVAL, TRAIN
    from mixer_tf.training.run_directory import RunDirectory

    run = RunDirectory(folder)
    if not (storage.exists(run.model) and storage.exists(run.timing)):
        raise ValueError(
            "a run must be a folder with serving/1 and timing.json, which `mixer train` writes "
            f"when the training has ended; got {folder}."
        )
    recipe = read_recipe(run.model)
    info = DatasetInfo.read(run.data)
    logs = read_logs(run.logs)
    if not logs.seconds:
        raise ValueError(f"a run must have logs; there are none in {run.logs}.")
    return RunCost(
        folder=folder,
        recipe=recipe,
        seconds=logs.seconds,
        cores=int(json.loads(storage.read_text(run.timing))["cores"]),
        accuracy=logs.accuracy,
        images_per_second=logs.images_per_second,
        num_classes=info.num_classes,
        images=info.examples.get(TRAIN, 0),
        eval_images=info.examples.get(EVAL, 0),
    )


@dataclasses.dataclass(frozen=True)
class Logs:
    """What the event files of a training say; see `RunCost`."""

    seconds: float
    accuracy: float | None
    images_per_second: float | None


def read_logs(folder: str) -> Logs:
    """Reads the logs in and below a folder.

    Each process of a training that was resumed writes a file of its own; the time between them
    does not count.
    """
    seconds, values = 0.0, {_TOP_1: [], _RATE: []}
    for path in storage.find_files(os.path.join(glob.escape(folder), "**", "*tfevents*")):
        times = []
        for time, scalars in _events(path):
            times.append(time)
            for tag, value in scalars:
                values[tag].append(value)
        seconds += max(times) - min(times) if times else 0.0
    rates = values[_RATE]
    return Logs(
        seconds,
        max(values[_TOP_1], default=None),
        statistics.median(rates) if rates else None,
    )


def _events(path: str) -> Iterator[tuple[float, list[tuple[str, float]]]]:
    """Yields the time of each event, and (tag, value) of the scalars that are needed.

    A file that a kill has cut ends with its last whole event.
    """
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
    from tensorboard.util.tensor_util import make_ndarray

    for event in EventFileLoader(path).Load():
        if event.HasField("file_version"):
            continue  # written again when a file is repaired
        found = [value for value in event.summary.value if value.tag in (_TOP_1, _RATE)]
        yield event.wall_time, [(value.tag, float(make_ndarray(value.tensor))) for value in found]
