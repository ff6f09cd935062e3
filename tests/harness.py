# SPDX-License-Identifier: Apache-2.0
"""Helpers that tests of several packages share: tiny data, recipes and models; checks of models."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import time

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
# Not square, and no two widths are equal: only the right axes give the right numbers.
TINY_MIXER = dict(
    image_size=(12, 16),
    patch_size=4,
    num_blocks=3,
    hidden_dim=8,
    tokens_mlp_dim=10,
    channels_mlp_dim=14,
    num_classes=5,
)
TINY_VIT = dict(
    image_size=(12, 16),
    patch_size=4,
    num_blocks=3,
    hidden_dim=8,
    channels_mlp_dim=14,
    num_heads=2,
    num_classes=5,
)
# With odd sides in between: only the right borders give the right numbers.
TINY_BIT = dict(image_size=(13, 18), num_units=(1, 2), width=8, num_groups=4, num_classes=5)


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Shards on disk, as the Preprocessor writes them."""

    info: DatasetInfo
    folder: str

    def files(self, split: str) -> list[str]:
        import tensorflow as tf

        return tf.io.gfile.glob(examples.file_pattern(self.folder, split))


def make_record(index: int) -> ImageRecord:
    """A noisy 16x16 PNG in the color of its class."""
    label = index % len(CLASS_NAMES)
    pixels = np.random.default_rng(index).integers(0, 100, (16, 16, 3))
    pixels[..., label] += 120
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(file, "PNG")
    return ImageRecord(file.getvalue(), "PNG", label, CLASS_NAMES[label], f"{index}", 16, 16)


def write_dataset(folder: str) -> Dataset:
    """Writes the tiny dataset: noisy images in the color of their class."""
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


def make_mixer(seed: int = 0, **fields):
    """Returns a `TINY_MIXER` with random weights; `fields` may also be name and dtype."""
    from mixer_tf.models import registry

    fields = {**TINY_MIXER, **fields}
    options = {name: fields.pop(name) for name in ("name", "dtype") if name in fields}
    model_class = registry.MIXER.model_class(registry.MIXER.config_class(**fields))
    return randomize(model_class(**options, **fields), seed=seed)


def make_images(height: int = 12, width: int = 16, count: int = 3) -> np.ndarray:
    """Random images, uint8 [count, height, width, 3]; the default size is that of `TINY_MIXER`."""
    return np.random.default_rng(1).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def randomize(model, scale: float = 0.3, seed: int = 0):
    """Sets every weight to a random value, also those that start at zero; returns the model."""
    rng = np.random.default_rng(seed)
    model.set_weights([scale * rng.standard_normal(w.shape, np.float32) for w in model.weights])
    return model


def weights_by_name(model) -> dict[str, np.ndarray]:
    """The weights of a model or layer."""
    return {variable.name.removesuffix(":0"): variable.numpy() for variable in model.weights}


def difference(actual, expected) -> float:
    """The largest absolute difference, relative to the largest expected value."""
    return np.abs(np.asarray(actual) - np.asarray(expected)).max() / np.abs(expected).max()


def assert_same_weights(model, other) -> None:
    """Every weight is equal, bit for bit."""
    assert [w.name for w in model.weights] == [w.name for w in other.weights]
    for weight, same in zip(model.weights, other.weights, strict=True):
        np.testing.assert_array_equal(weight.numpy(), same.numpy(), err_msg=weight.name)


def assert_layer_round_trip(layer, shape: tuple[int, ...], folder) -> None:
    """A layer with inputs [N, *shape] is the same after its config, and after a saved model."""
    from tensorflow import keras

    inputs = np.random.default_rng(2).normal(size=(3, *shape)).astype(np.float32)
    model = randomize(keras.Sequential([keras.Input(shape), layer]))
    assert_same_from_config(layer, inputs)
    assert_same_after_save_and_load(model, inputs, folder / f"{layer.name}.keras")


def assert_same_from_config(layer, inputs) -> None:
    """The config is JSON, and a layer or model from it computes the same as `layer`."""
    layer(inputs)
    config = json.loads(json.dumps(layer.get_config()))
    other = type(layer).from_config(config)
    assert json.loads(json.dumps(other.get_config())) == config
    other(inputs)
    other.set_weights(layer.get_weights())
    np.testing.assert_array_equal(other(inputs), layer(inputs))


def assert_same_after_save_and_load(model, inputs, path) -> None:
    """Class, config and outputs of the model are the same after `save` and `load_model`."""
    from tensorflow import keras

    model.save(path)
    loaded = keras.models.load_model(path)
    assert type(loaded) is type(model)
    assert json.dumps(loaded.get_config()) == json.dumps(model.get_config())
    np.testing.assert_array_equal(loaded(inputs), model(inputs))


def assert_learns(model, images, jit_compile: bool) -> None:
    """Training with Adam halves the loss of three images and changes every weight.

    The bias of attention's keys is left out: softmax over the keys does not depend on it, so its
    gradient is rounding error or 0.
    """
    from tensorflow import keras

    model.compile(
        keras.optimizers.Adam(0.02),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=jit_compile,
    )
    before = weights_by_name(model)
    losses = model.fit(images, np.array([0, 1, 2]), epochs=40, verbose=0).history["loss"]
    assert np.mean(losses[-3:]) < losses[0] / 2
    after = weights_by_name(model)
    unchanged = [name for name in before if np.array_equal(before[name], after[name])]
    assert [name for name in unchanged if not name.endswith("/key/bias")] == []


def wait_for(condition, seconds: float = 120) -> None:
    """Waits until `condition()` holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    """Whether there is a process with this id that has not been waited for."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
