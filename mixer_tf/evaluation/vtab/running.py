# SPDX-License-Identifier: Apache-2.0
"""Runs one task of VTAB-1k in a folder of its own, where an interrupted run finds what is done.

The folder holds `images.csv` (the chosen images), `selection/` and `final/` (one JSON file for each
finished training), and at the end `result.json`; until then also `data/` and `checkpoints/`.
"""

from __future__ import annotations

import collections
import csv
import functools
import gc
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import tensorflow as tf

from mixer_tf import storage
from mixer_tf.datasets import examples
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.evaluation.vtab.protocols import Point, VtabSettings, best_point
from mixer_tf.evaluation.vtab.reading import TaskReader
from mixer_tf.evaluation.vtab.tasks import NUM_TRAIN, NUM_VAL
from mixer_tf.features import EVAL, TEST, TRAIN, ImageRecord
from mixer_tf.messages import spreadsheet_cell
from mixer_tf.recipes.schema import Recipe
from mixer_tf.training import trainer
from mixer_tf.training.callbacks import TrainingDivergedError
from mixer_tf.training.input import batches
from mixer_tf.training.input.split import Split, open_splits

RESULT, IMAGES = "result.json", "images.csv"
Progress = Callable[[str, int, int], None]
_NUM_SHARDS = 4


class TaskRun:
    """The selection, the final trainings and the test of one task.

    Args:
        reader: the open dataset of the task.
        settings: what the trainings share.
        folder: the folder of the task.
        strategy: where to train, as `trainer.fit` takes it.
        progress: called with a title and the numbers of finished and of all parts.
    """

    def __init__(
        self,
        reader: TaskReader,
        settings: VtabSettings,
        folder: str,
        strategy: str = "auto",
        progress: Progress | None = None,
    ):
        self._reader, self._task, self._settings = reader, reader.task, settings
        self._folder, self._strategy = folder, strategy
        self._progress = progress or (lambda title, done, total: None)

    def run(self) -> dict[str, object]:
        """Returns the result, which is read if an earlier run has finished the task.

        Raises:
            ValueError: the dataset does not have the images of the benchmark.
            TrainingDivergedError: a final training has diverged.
            TrainingStopped: after Ctrl-C or SIGTERM; another call resumes.
        """
        path = os.path.join(self._folder, RESULT)
        if storage.exists(path):
            return json.loads(storage.read_text(path))
        self._write_images()
        points = self._settings.points()
        selection = [self._select(point) for point in points] if len(points) > 1 else []
        accuracies = [trial["accuracy"] for trial in selection]
        chosen = best_point(points, accuracies) if selection else points[0]
        finals = [self._finish(chosen, seed) for seed in self._settings.seeds]
        result = self._result(selection, chosen, finals)
        storage.write_text(path, json.dumps(result, indent=2))
        for name in ("data", "checkpoints"):
            storage.remove_folder(os.path.join(self._folder, name))
        return result

    def _result(self, selection: list[dict], chosen: Point, finals: list[dict]) -> dict:
        task, read = self._task, self._reader
        accuracies = [final["accuracy"] for final in finals]
        expressions = {"train800": task.train, "val200": task.val, "test": task.test}
        return {
            "task": task.name,
            "group": task.group,
            "dataset": read.version,
            "splits": {name: read.split(text) for name, text in expressions.items()},
            "classes": len(read.class_names),
            "test_images": finals[0]["images"],
            "selection": selection,
            "chosen": {"learning_rate": chosen.learning_rate, "steps": chosen.steps},
            "seeds": list(self._settings.seeds),
            "accuracies": accuracies,
            "mean": float(np.mean(accuracies)),
            "notes": list(dict.fromkeys(note for final in finals for note in final["notes"])),
        }

    def _write_images(self) -> None:
        """Writes the ids of the 1,000 images, in the order of the files."""
        path = os.path.join(self._folder, IMAGES)
        if storage.exists(path):
            return
        self._require_sizes()
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("split", "image", "label", "class"))
        for split, expression in (("train800", self._task.train), ("val200", self._task.val)):
            for record in self._reader.read(expression):
                cells = (split, record.source, record.label, record.class_name)
                writer.writerow(map(spreadsheet_cell, cells))
        storage.make_folder(self._folder)
        storage.write_text(path, file.getvalue())

    def _require_sizes(self) -> None:
        for expression, count in ((self._task.train, NUM_TRAIN), (self._task.val, NUM_VAL)):
            found = self._reader.count(expression)
            if found != count:
                raise ValueError(
                    f"{self._reader.split(expression)} of {self._reader.version} must be {count} "
                    f"images; it is {found}. Prepare the whole dataset with the builder of TFDS."
                )

    def _select(self, point: Point) -> dict:
        """Trains on the 800 images and measures on the 200."""
        seed = self._settings.seeds[0]
        recipe = self._settings.recipe(self._task, point, seed)
        parts = {TRAIN: self._task.train, EVAL: self._task.val}
        facts = {"learning_rate": point.learning_rate, "steps": point.steps, "seed": seed}
        return self._trained("selection", point.name, recipe, parts, EVAL, facts)

    def _finish(self, point: Point, seed: int) -> dict:
        """Trains on the 1,000 images and measures on the test images, once."""
        recipe = self._settings.recipe(self._task, point, seed)
        parts = {TRAIN: self._task.train1000, TEST: self._task.test}
        name = f"seed={seed}"
        found = self._trained("final", name, recipe, parts, TEST, {"seed": seed})
        if found["accuracy"] is None:
            raise TrainingDivergedError(f"{self._task.name}, {point.name}: {found['problem']}")
        return found

    def _trained(
        self, stage: str, name: str, recipe: Recipe, parts: dict, measured: str, facts: dict
    ) -> dict:
        """Returns the result of a training, which is read if it is finished."""
        path = os.path.join(self._folder, stage, f"{name}.json")
        if storage.exists(path):
            return json.loads(storage.read_text(path))
        data = os.path.join(self._folder, "data", stage)
        splits = open_splits(data, self._prepared(data, parts))
        checkpoints = os.path.join(self._folder, "checkpoints", f"{stage}-{name}")
        found = facts | {"accuracy": None, "images": splits[measured].num_examples}
        found |= {"problem": "", "notes": []}
        title = f"{self._task.name}: {stage}, {name}"
        try:
            fitted = trainer.fit(
                recipe,
                splits[TRAIN],
                strategy=self._strategy,
                checkpoint_dir=checkpoints,
                callbacks=[
                    _ShowSteps(functools.partial(self._progress, title), recipe.training.steps)
                ],
                verbose=False,
            )
            found["accuracy"] = accuracy(fitted.model, splits[measured], fitted.recipe)
            found["notes"] = list(fitted.notes)
        except TrainingDivergedError as error:
            found["problem"] = str(error).partition("\n")[0]
        storage.make_folder(os.path.dirname(path))
        storage.write_text(path, json.dumps(found, indent=2))
        storage.remove_folder(checkpoints)
        tf.keras.backend.clear_session()  # or the graphs of 76 trainings would pile up
        gc.collect()
        return found

    def _prepared(self, folder: str, parts: dict[str, str]) -> DatasetInfo:
        """Writes the images of some splits as shards, unless an earlier call has done so."""
        if storage.exists(os.path.join(folder, "dataset.json")):
            return DatasetInfo.read(folder)
        counts: dict[str, dict[str, int]] = {}
        for split, expression in parts.items():
            by_class: collections.Counter[str] = collections.Counter()
            records = self._counted(split, expression, by_class)
            examples.write(records, folder, split, _NUM_SHARDS)
            counts[split] = dict(by_class)
        info = DatasetInfo(f"tfds:{self._reader.version}", self._reader.class_names, counts)
        info.write(folder)
        return info

    def _counted(
        self, split: str, expression: str, by_class: collections.Counter
    ) -> Iterator[ImageRecord]:
        total = self._reader.count(expression)
        for number, record in enumerate(self._reader.read(expression), 1):
            by_class[record.class_name] += 1
            self._progress(f"{self._task.name}: reading {split} images", number, total)
            yield record


def accuracy(model: tf.keras.Model, split: Split, recipe: Recipe) -> float:
    """Returns the top-1 accuracy on all images of a split; padding does not count.

    Args:
        model: maps pixels [N, S, S, 3] to logits.
        split: the images.
        recipe: says how they are cropped, and the size of a batch.
    """
    network = tf.function(lambda images: model(images, training=False), autograph=False)
    data: Iterable = batches.evaluation_batches(split, recipe)
    correct = images = 0
    for pixels, targets, weights in data:
        is_image = weights.numpy() > 0
        hits = network(pixels).numpy().argmax(1) == targets.numpy().argmax(1)
        correct += int(hits[is_image].sum())
        images += int(is_image.sum())
    if images != split.num_examples:
        raise RuntimeError(f"{split.num_examples} images must be evaluated; got {images}.")
    return correct / images


class _ShowSteps(tf.keras.callbacks.Callback):
    """Calls a function with the numbers of finished and of all steps, after each epoch.

    Args:
        show: the function.
        total: number of all steps.
    """

    def __init__(self, show: Callable[[int, int], None], total: int):
        super().__init__()
        self._show, self._total = show, total

    def on_epoch_end(self, epoch, logs=None):
        self._show(int(self.model.optimizer.iterations), self._total)
