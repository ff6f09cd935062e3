# SPDX-License-Identifier: Apache-2.0
"""One measurement of throughput, in a process of its own: `python -m … '{"model": …}'`."""

from __future__ import annotations

import json
import sys
import tempfile

import numpy as np
import tensorflow as tf

from mixer_tf import factory, recipes
from mixer_tf.benchmarks import machine, measured_process
from mixer_tf.benchmarks.measured_process import Framework, Work
from mixer_tf.export.signatures import ServedModel
from mixer_tf.recipes.schema import ModelOptions, Recipe
from mixer_tf.serving import contract
from mixer_tf.training import compilation
from mixer_tf.training.input import batches


def main(arguments: str) -> None:
    """Prints the fields of `throughput.Result` that a measurement finds.

    Args:
        arguments: the fields of `throughput.Setting` and "seconds", as JSON.
    """
    setting = json.loads(arguments)
    build = {"forward": _forward, "training": _training, "serving": _serving}[setting["mode"]]
    strategy = _strategy(setting["devices"])
    with strategy.scope():
        framework = Framework(peak_memory=machine.device_peak_memory)
        measured_process.report(lambda: build(setting), setting, framework)


def _strategy(devices: int) -> tf.distribute.Strategy:
    if devices == 1:
        return tf.distribute.get_strategy()
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    if kind == "CPU":
        (cpu,) = tf.config.list_physical_devices("CPU")
        logical = [tf.config.LogicalDeviceConfiguration()] * devices
        tf.config.set_logical_device_configuration(cpu, logical)
    return tf.distribute.MirroredStrategy([f"{kind}:{index}" for index in range(devices)])


def make_recipe(setting: dict) -> Recipe:
    """Returns the recipe of a setting, with the optimizer and the loss of a pre-training."""
    recipe = recipes.get("pretrain_imagenet_b16")
    return recipe.replace(
        model=ModelOptions(
            name=setting["model"], image_size=setting["image_size"], **setting["fields"]
        ),
        training=recipe.training.replace(
            batch_size=setting["batch_size"],
            precision=setting["precision"],
            jit_compile=setting["jit_compile"],
            accumulation_steps=setting["accumulation_steps"],
            recompute=setting["recompute"],
            steps_per_execution=setting["steps_per_execution"],
        ),
    )


def _pixels(setting: dict) -> tf.Tensor:
    size = setting["image_size"]
    shape = (setting["batch_size"], size, size, 3)
    return tf.cast(tf.random.uniform(shape, maxval=256, dtype=tf.int32), tf.uint8)


def _forward(setting: dict) -> Work:
    model = factory.from_recipe(make_recipe(setting), setting["num_classes"])
    pixels = _pixels(setting)
    function = tf.function(
        lambda batch: model(batch, training=False), jit_compile=setting["jit_compile"] or None
    )
    return Work(lambda: function(pixels), setting["batch_size"], np.asarray)


def _serving(setting: dict) -> Work:
    """The signature for decoded images, as it is after the export."""
    recipe, names = make_recipe(setting), [str(i) for i in range(setting["num_classes"])]
    served = ServedModel(factory.for_export(recipe, len(names)), recipe, names)
    pixels = _pixels(setting)
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(served, folder, signatures=served.functions)
        loaded = tf.saved_model.load(folder)

    def run() -> tf.Tensor:
        signature = loaded.signatures[contract.PIXELS_SIGNATURE]  # `loaded` has its variables
        return signature(**{contract.PIXELS: pixels})[contract.PROBABILITIES]

    return Work(run, setting["batch_size"], np.asarray)


def _training(setting: dict) -> Work:
    """The train step of the library, on the same batch again and again."""
    recipe, num_classes = make_recipe(setting), setting["num_classes"]
    strategy = tf.distribute.get_strategy()
    model = factory.from_recipe(recipe, num_classes)
    compilation.compile_model(model, recipe, 10_000, strategy)
    model.optimizer.build(model.trainable_variables)
    labels = tf.one_hot(tf.range(setting["batch_size"]) % num_classes, num_classes)
    data = tf.data.Dataset.from_tensors((_pixels(setting), labels)).repeat()
    if setting["devices"] > 1:
        data = strategy.experimental_distribute_dataset(data)
    else:
        data = batches.prefetch_to_gpu(data)
    iterator = iter(data)
    step = model.make_train_function()
    images = setting["batch_size"] * setting["steps_per_execution"]
    return Work(lambda: step(iterator)["loss"], images, wait=float)


if __name__ == "__main__":
    main(sys.argv[1])
