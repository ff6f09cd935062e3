# SPDX-License-Identifier: Apache-2.0
"""A training without TFX: a source of images in, one folder out. What `mixer train` calls.

The folder holds

* `serving/1`: the model, where a model server and `mixer predict` look for it,
* `data/`: the images as TFRecords, `dataset.json`, and `quarantine.jsonl` for unusable ones,
* `logs/`: for TensorBoard,
* `checkpoints/`: while the training is not finished,
* `training.json`: what is trained on what, by which an interrupted training is known again.
"""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from mixer_tf.datasets import examples, validation
from mixer_tf.datasets.info import FILE_NAME, DatasetInfo
from mixer_tf.datasets.sources.source import Source
from mixer_tf.features import EVAL, TRAIN
from mixer_tf.recipes.schema import Recipe
from mixer_tf.serving.locations import MODEL_FILE, SERVING
from mixer_tf.training import cluster

if TYPE_CHECKING:
    import tensorflow as tf

    from mixer_tf.training.trainer import TrainingResult

_STATE_FILE = "training.json"
_POLL_SECONDS = 1.0
_WAIT_SECONDS = 3600.0


@dataclasses.dataclass(frozen=True)
class RunDirectory:
    """The folder of one training.

    Attributes:
        root: its path.
    """

    root: str

    @property
    def model(self) -> str:
        return os.path.join(self.root, SERVING, "1")

    @property
    def data(self) -> str:
        return os.path.join(self.root, "data")

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
        if not os.path.exists(self.quarantine):
            return 0
        with open(self.quarantine, encoding="utf-8") as file:
            return sum(1 for _ in file)

    def claim(self, source: Source, recipe: Recipe) -> bool:
        """Makes the folder that of this training, and returns whether it was so before.

        Raises:
            ValueError: it holds something else: a finished model, another training, other files.
        """
        state = {
            "source": source.spec,
            "fingerprint": source.fingerprint(),
            "recipe": dataclasses.asdict(recipe),
        }
        path = os.path.join(self.root, _STATE_FILE)
        if "://" in self.root:
            raise ValueError(
                f"the output must be a folder of this machine; got {self.root}. "
                "Copy it there afterwards."
            )
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                self._require_same(json.load(file), json.loads(json.dumps(state)))
            return True
        if os.path.isdir(self.root) and os.listdir(self.root):
            raise ValueError(
                f"the output must be a new or empty folder; {self.root} holds other files. "
                "Name another one."
            )
        os.makedirs(self.root, exist_ok=True)
        with open(path + ".partial", "w", encoding="utf-8") as file:
            json.dump(state, file, indent=2, ensure_ascii=True)
        os.replace(path + ".partial", path)
        return False

    def _require_same(self, earlier: dict, now: dict) -> None:
        if os.path.exists(os.path.join(self.model, MODEL_FILE)):
            raise ValueError(
                f"{self.root} holds a finished model already. Name another output, or remove it."
            )
        if earlier == now:
            return
        what = {"source": "source", "fingerprint": "state of the images", "recipe": "recipe"}
        changed = [words for key, words in what.items() if earlier[key] != now[key]]
        raise ValueError(
            f"{self.root} holds an unfinished training with another {' and '.join(changed)}. "
            "Start that one again to finish it, name another output, or remove the folder."
        )


def train_source(
    source: Source,
    recipe: Recipe,
    root: str,
    *,
    strategy: str | tf.distribute.Strategy = "auto",
    progress: Callable[[int], None] | None = None,
    verbose: bool = True,
) -> TrainingResult:
    """Trains a recipe on a source; called again after an interruption, it goes on from there.

    Args:
        source: an open source.
        recipe: what to train, and how.
        root: the folder that `RunDirectory` describes.
        strategy: a word that `strategy.create_strategy` knows, or what it returned. Several workers
            must make theirs before they open the source.
        progress: called with the number of images that were looked at, now and then.
        verbose: whether to show the progress of the training.

    Raises:
        ValueError: the folder holds something else, or nothing can be trained.
    """
    from mixer_tf.training import trainer

    output = RunDirectory(root)
    info = prepare(source, recipe, output, progress)
    return trainer.train(
        recipe,
        train_files=_files(output, TRAIN),
        eval_files=_files(output, EVAL),
        dataset_info=info,
        output_dir=output.model,
        checkpoint_dir=output.checkpoints,
        log_dir=output.logs,
        strategy=strategy,
        verbose=verbose,
    )


def prepare(
    source: Source,
    recipe: Recipe,
    output: RunDirectory,
    progress: Callable[[int], None] | None = None,
) -> DatasetInfo:
    """Claims the folder and writes the images into it, unless an earlier call has done so.

    Of several workers that share the folder the first does it, the others wait for it.

    Raises:
        TimeoutError: the first worker has not done it within an hour.
    """
    dataset_file = os.path.join(output.data, FILE_NAME)
    if not cluster.is_first_worker():
        _wait_for(dataset_file)
        return DatasetInfo.read(output.data)
    known = output.claim(source, recipe)
    if known and os.path.exists(dataset_file):
        return DatasetInfo.read(output.data)
    return examples.export(source, output.data, progress)


def _wait_for(path: str) -> None:
    deadline = time.monotonic() + _WAIT_SECONDS
    while not os.path.exists(path):
        if time.monotonic() > deadline:
            raise TimeoutError(
                f"the first worker must write {path}; it has not within {_WAIT_SECONDS / 3600:.0f} "
                "hour. See what it says, and whether all workers share the output folder."
            )
        time.sleep(_POLL_SECONDS)


def _files(output: RunDirectory, split: str) -> list[str]:
    from tensorflow.io import gfile

    return sorted(gfile.glob(examples.file_pattern(output.data, split)))
