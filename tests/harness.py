# SPDX-License-Identifier: Apache-2.0
"""What tests of several packages share: a tiny dataset and recipe, comparisons of models."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
from PIL import Image

from mixer_tf import recipes
from mixer_tf.checkpoints.lazy_arrays import LazyArrays
from mixer_tf.datasets import examples
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.features import ImageRecord

CLASS_NAMES = ("red", "green", "bläulich 青")
COUNTS = {"train": 30, "eval": 13, "test": 7}
TINY = (
    "model.name=mixer",
    "model.image_size=16",
    "model.patch_size=4",
    "model.num_blocks=2",
    "model.hidden_dim=8",
    "model.tokens_mlp_dim=8",
    "model.channels_mlp_dim=8",
    "training.epochs=2",
    "training.batch_size=8",
    "optimizer.learning_rate=0.01",
    "optimizer.ema=0",
)


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Shards on disk, as the Preprocessor writes them."""

    info: DatasetInfo
    folder: str

    def files(self, split: str) -> list[str]:
        import tensorflow as tf

        return tf.io.gfile.glob(examples.file_pattern(self.folder, split))


def make_record(index: int) -> ImageRecord:
    """A noisy 16x16 PNG in the colour of its class."""
    label = index % len(CLASS_NAMES)
    pixels = np.random.default_rng(index).integers(0, 100, (16, 16, 3))
    pixels[..., label] += 120
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(file, "PNG")
    return ImageRecord(file.getvalue(), "PNG", label, CLASS_NAMES[label], f"{index}", 16, 16)


def write_dataset(folder: str) -> Dataset:
    """Writes the tiny dataset: images of noise in the color of their class."""
    first = 0
    counts = {}
    for split, count in COUNTS.items():
        records = [make_record(index) for index in range(first, first + count)]
        examples.write(records, folder, split, 2)
        names = [record.class_name for record in records]
        counts[split] = {name: names.count(name) for name in CLASS_NAMES}
        first += count
    info = DatasetInfo("tiny", CLASS_NAMES, counts)
    info.write(folder)
    return Dataset(info, folder)


def tiny_recipe() -> recipes.Recipe:
    """A Mixer that learns the tiny dataset in seconds."""
    return recipes.get("digits").override(TINY)


def lazy_arrays(arrays: dict[str, np.ndarray]) -> LazyArrays:
    """Arrays in memory as an open checkpoint."""
    shapes = {name: np.shape(array) for name, array in arrays.items()}
    return LazyArrays(shapes, arrays.__getitem__)


def assert_same_weights(model, other) -> None:
    """Every weight is equal, bit for bit."""
    assert [w.name for w in model.weights] == [w.name for w in other.weights]
    for weight, same in zip(model.weights, other.weights, strict=True):
        np.testing.assert_array_equal(weight.numpy(), same.numpy(), err_msg=weight.name)
