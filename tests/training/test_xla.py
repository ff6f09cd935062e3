# SPDX-License-Identifier: Apache-2.0
"""XLA, and with it a TPU, compiles the steps of training and evaluation of every family."""

import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from harness import TINY_BIT, TINY_MIXER, TINY_VIT, tiny_recipe

from mixer_tf import factory, library_messages
from mixer_tf.models.registry import FAMILIES
from mixer_tf.recipes import ModelOptions
from mixer_tf.serving import contract
from mixer_tf.training import compilation
from mixer_tf.training.tensorboard.confusion import count_confusion

# Two blocks: stochastic depth never drops the first one.
DIMENSIONS = {
    "mixer": {**TINY_MIXER, "num_blocks": 2},
    "vit": {**TINY_VIT, "num_blocks": 2},
    "bit": {**TINY_BIT, "num_units": (1, 1)},
}
OPTIONS = [
    *("training.accumulation_steps=2", "optimizer.ema=0.5", "optimizer.weight_decay=0.01"),
    "optimizer.layer_rates=*head*=0.5",
    *("optimizer.warmup_steps=0", "training.batch_size=8", "training.jit_compile=true"),
]
CLASSES = 7  # more than five: top-5 is computed as well
COUNTS = [9, 1, 2, 3, 0, 4, 5]
VARIANTS = {
    "softmax": [
        *("training.loss=softmax", "training.label_smoothing=0.1"),
        "training.class_weights=balanced",
    ],
    "sigmoid": ["training.loss=sigmoid", "optimizer.name=momentum", "training.recompute=true"],
}


def compiled(family: str, *changes: str):
    fields = {k: v for k, v in DIMENSIONS[family].items() if k not in ("image_size", "num_classes")}
    model = ModelOptions(family, 16, stochastic_depth=0.2, dropout=0.1, fields=fields)
    recipe = tiny_recipe().replace(model=model).override([*OPTIONS, *changes])
    model = factory.from_recipe(recipe, CLASSES)
    compilation.compile_model(model, recipe, 9, tf.distribute.get_strategy(), COUNTS)
    return model, count_confusion(model, CLASSES)


@pytest.mark.slow
@pytest.mark.parametrize("loss", VARIANTS)
@pytest.mark.parametrize("family", FAMILIES)
def test_steps_of_training_and_evaluation_compile(family, loss):
    """An operation that XLA does not support is an error; so is a shape that is not static."""
    model, confusion = compiled(family, *VARIANTS[loss])
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (16, 16, 16, 3), dtype=np.uint8)
    classes = rng.integers(0, CLASSES, 16)
    labels = np.eye(CLASSES, dtype=np.float32)[classes]
    weights = np.r_[np.ones(13), np.zeros(3)].astype(np.float32)  # three images are padding
    data = (pixels, labels, weights)
    batches = tf.data.Dataset.from_tensor_slices(data).batch(8, drop_remainder=True)
    before = model.get_weights()
    logs = model.fit(batches, epochs=1, validation_data=batches, verbose=0).history
    assert np.all(np.isfinite([logs["loss"], logs["val_loss"], logs["gradient_norm"]]))
    assert logs[f"val_{contract.top_k_metric()}"] >= logs["val_accuracy"]
    counts = np.bincount(classes[:13], minlength=CLASSES)
    np.testing.assert_array_equal(np.sum(confusion.result(), axis=1), counts)
    assert any(np.any(a != b) for a, b in zip(before, model.get_weights(), strict=True))
    for function in (model.train_function, model.test_function):
        assert is_compiled(function, batches)


def is_compiled(function, batches) -> bool:
    """Whether the operations of a Keras step are in a function that XLA has to compile."""
    graph = function.get_concrete_function(iter(batches)).graph.as_graph_def()
    return any(f.attr["_XlaMustCompile"].b for f in graph.library.function)


def test_xla_says_nothing_amid_the_progress():
    """In a process of its own: XLA says only once that it has compiled something."""
    code = (
        "import test_xla; model, _ = test_xla.compiled('mixer')\n"
        "test_xla.tf.function(lambda x: x + 1, jit_compile=True)(1.0)"
    )
    environment = {**os.environ, library_messages.SILENT: "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment["PYTHONPATH"] = os.pathsep.join([*sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert "XLA" not in done.stderr
