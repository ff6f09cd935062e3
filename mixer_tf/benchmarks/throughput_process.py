# SPDX-License-Identifier: Apache-2.0
"""One measurement of throughput, in a process of its own: `python -m … '{"model": …}'`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import tensorflow as tf

from mixer_tf import factory, recipes
from mixer_tf.benchmarks import machine
from mixer_tf.recipes.schema import ModelOptions, Recipe
from mixer_tf.training import compilation

_MAX_BATCHES = 1000
_MATRIX_SECONDS = 0.5


def main(arguments: str) -> None:
    """Prints {"images_per_second": …, "matrix_rate": …}.

    Args:
        arguments: the fields of `throughput.Setting` and "seconds", as JSON.
    """
    setting = json.loads(arguments)
    run = {"forward": _forward, "training": _training}[setting["mode"]](setting)
    run()  # compiles
    before = machine.matrix_rate(setting["precision"], _MATRIX_SECONDS)
    begin, count = time.monotonic(), 0
    while count < _MAX_BATCHES and (not count or time.monotonic() - begin < setting["seconds"]):
        run()
        count += 1
    rate = count * setting["batch_size"] / (time.monotonic() - begin)
    after = machine.matrix_rate(setting["precision"], _MATRIX_SECONDS)
    print(json.dumps({"images_per_second": rate, "matrix_rate": (before + after) / 2}))


def _recipe(setting: dict) -> Recipe:
    recipe = recipes.get("pretrain_imagenet_b16")
    return recipe.replace(
        model=ModelOptions(name=setting["model"], image_size=setting["image_size"]),
        training=recipe.training.replace(
            batch_size=setting["batch_size"],
            precision=setting["precision"],
            jit_compile=setting["jit_compile"],
        ),
    )


def _pixels(setting: dict) -> tf.Tensor:
    size = setting["image_size"]
    shape = (setting["batch_size"], size, size, 3)
    return tf.cast(tf.random.uniform(shape, maxval=256, dtype=tf.int32), tf.uint8)


def _forward(setting: dict) -> Callable[[], None]:
    model = factory.from_recipe(_recipe(setting), setting["num_classes"])
    pixels = _pixels(setting)
    function = tf.function(
        lambda batch: model(batch, training=False), jit_compile=setting["jit_compile"] or None
    )
    return lambda: function(pixels).numpy()


def _training(setting: dict) -> Callable[[], None]:
    """The train step of the library, on the same batch again and again."""
    recipe, num_classes = _recipe(setting), setting["num_classes"]
    model = factory.from_recipe(recipe, num_classes)
    compilation.compile_model(model, recipe, 10_000, tf.distribute.get_strategy())
    model.optimizer.build(model.trainable_variables)
    labels = tf.one_hot(tf.range(setting["batch_size"]) % num_classes, num_classes)
    batches = iter(tf.data.Dataset.from_tensors((_pixels(setting), labels)).repeat())
    step = model.make_train_function()
    return lambda: float(step(batches)["loss"])


if __name__ == "__main__":
    main(sys.argv[1])
