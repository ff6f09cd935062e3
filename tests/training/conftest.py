# SPDX-License-Identifier: Apache-2.0
"""A tiny dataset that a tiny Mixer learns in seconds, and the recipe of that Mixer."""

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from mixer_tf import recipes
from mixer_tf.datasets import tfrecords
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

        return tf.io.gfile.glob(tfrecords.file_pattern(self.folder, split))


def make_record(index: int) -> ImageRecord:
    """A noisy 16x16 PNG in the colour of its class."""
    label = index % len(CLASS_NAMES)
    pixels = np.random.default_rng(index).integers(0, 100, (16, 16, 3))
    pixels[..., label] += 120
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(file, "PNG")
    return ImageRecord(file.getvalue(), "PNG", label, CLASS_NAMES[label], f"{index}", 16, 16)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory) -> Dataset:
    folder = str(tmp_path_factory.mktemp("dataset"))
    first = 0
    counts = {}
    for split, count in COUNTS.items():
        records = [make_record(index) for index in range(first, first + count)]
        tfrecords.write(records, folder, split, 2)
        names = [record.class_name for record in records]
        counts[split] = {name: names.count(name) for name in CLASS_NAMES}
        first += count
    info = DatasetInfo("tiny", CLASS_NAMES, counts)
    info.write(folder)
    return Dataset(info, folder)


@pytest.fixture(scope="session")
def recipe() -> recipes.Recipe:
    return recipes.get("digits").override(TINY)
