# SPDX-License-Identifier: Apache-2.0
"""What `benchmarks.startup` runs: prepares a model and images, and trains until the first step."""

from __future__ import annotations

import os
import sys

from mixer_tf import console, factory, recipes
from mixer_tf.datasets.sources import opening
from mixer_tf.features import EVAL, TRAIN

_IMAGES = {TRAIN: 1289, EVAL: 184}  # as in the demo


def prepare(folder: str) -> None:
    """Writes a model of the digits with random weights, an image, and the digits as shards."""
    from mixer_tf.export import saved_model
    from mixer_tf.planning import sample

    recipe, source = recipes.get("digits"), opening.open_source("digits")
    model = factory.from_recipe(recipe, len(source.class_names))
    path = os.path.join(folder, "model", "1")
    saved_model.export_saved_model(model, recipe, source.class_names, path)
    record = next(source.read(source.shards_of(TRAIN)[0]))
    with open(os.path.join(folder, "image.png"), "wb") as file:
        file.write(record.encoded)
    sample.write_sample(source, os.path.join(folder, "digits"), _IMAGES)


def train(folder: str) -> None:
    """Trains the digits until the first step is done, and ends the process there."""
    from mixer_tf.datasets.info import DatasetInfo
    from mixer_tf.training import trainer
    from mixer_tf.training.input.split import open_splits

    data = os.path.join(folder, "digits")
    splits = open_splits(data, DatasetInfo.read(data))
    first = trainer.tf.keras.callbacks.LambdaCallback(on_train_batch_end=_end)
    trainer.fit(
        recipes.get("digits"), splits[TRAIN], splits[EVAL], callbacks=[first], verbose=False
    )


def _end(batch: int, logs: dict) -> None:
    float(logs["loss"])
    os._exit(0)


if __name__ == "__main__":
    console.silence_libraries()
    {"prepare": prepare, "train": train}[sys.argv[1]](sys.argv[2])
