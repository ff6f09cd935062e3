# SPDX-License-Identifier: Apache-2.0
"""A batch that is computed in parts gives the weights of the whole batch."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from test_train_step import LABELS, PIXELS, WEIGHTS, compiled, fit

from mixer_tf.recipes.schema import TrainingOptions
from mixer_tf.training import distribution
from mixer_tf.training.accumulation import accumulate
from mixer_tf.training.augmentation.mixup import mixup

AVERAGED = ["optimizer.clip_norm=0.01", "optimizer.ema=0.5", "optimizer.weight_decay=0.1"]
AVERAGED += ["optimizer.layer_rates=stem=0.1,block_0=3"]
SETTINGS = {
    # Of tiny gradients, Adam's step would be the sign of a rounding error.
    "Adam": [*AVERAGED, "optimizer.epsilon=0.01"],
    "momentum": [*AVERAGED, "optimizer.name=momentum", "training.loss=sigmoid"],
    "float16": ["optimizer.name=momentum", "training.precision=mixed_float16"],
}


def assert_same_training(model, other, logs, other_logs, rtol=1e-4):
    """Logs, weights, slots and averages."""
    assert set(logs) == set(other_logs)
    for name, expected in other_logs.items():
        assert logs[name] == pytest.approx(expected, rel=rtol)
    assert_close(values(model), values(other), rtol)


def values(model) -> dict[str, np.ndarray]:
    """All weights as one vector, and in the same way each kind of slot, such as "v"."""
    slots = [(variable.name.partition("/")[0], variable) for variable in model.optimizer.variables]
    kinds = {}
    for kind, variable in [*slots, *(("weights", weight) for weight in model.weights)]:
        kinds.setdefault(kind, []).append(np.ravel(variable.numpy()).astype(np.float64))
    return {kind: np.concatenate(arrays) for kind, arrays in kinds.items()}


def assert_close(found, expected, rtol) -> None:
    """The difference of each kind is small, relative to all its values together."""
    assert set(found) == set(expected)
    for kind, value in expected.items():
        difference = np.linalg.norm(found[kind] - value)
        assert difference <= rtol * np.linalg.norm(value), kind


@pytest.mark.parametrize(
    ("name", "weights"), [("Adam", WEIGHTS), ("momentum", None), ("float16", None)]
)
def test_parts_train_as_the_whole_batch(recipe, name, weights):
    """Also where each block is computed a second time."""
    whole = compiled(recipe, *SETTINGS[name])
    in_parts = ["training.accumulation_steps=4", "training.recompute=true"]
    parts = compiled(recipe, *SETTINGS[name], *in_parts)
    expected = fit(whole, weights)
    found = fit(parts, weights)
    assert_same_training(parts, whole, found, expected, 5e-3 if name == "float16" else 1e-4)


def test_mixed_labels_are_computed_in_parts_as_well(recipe):
    images, labels = mixup(
        tf.constant(PIXELS), tf.constant(LABELS), 0.5, tf.constant([0, 1], tf.int64)
    )
    data = tf.data.Dataset.from_tensor_slices((images, labels)).batch(12, drop_remainder=True)
    results = []
    for steps in (1, 4):
        model = compiled(recipe, *SETTINGS["Adam"], f"training.accumulation_steps={steps}")
        results.append((model, model.fit(data, epochs=1, verbose=0).history))
    (whole, expected), (parts, found) = results
    assert_same_training(parts, whole, found, expected)


def test_one_part_at_a_time_is_computed():
    """By the graph: the parts are a loop without parallel iterations, and nothing is unrolled."""
    weight = tf.Variable([2.0])
    sizes = []

    def compute(part, x, y, sample_weight):
        sizes.append(x.shape)
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((x * weight - y) ** 2)
        return [tape.gradient(loss, weight)], x * weight

    @tf.function
    def run(x, y):
        return accumulate(compute, (x, y, None), [weight], 4, 1)

    x, y = np.arange(8, dtype=np.float32)[:, None], np.ones((8, 1), np.float32)
    (gradient,), y_pred = run(tf.constant(x), tf.constant(y))
    assert sizes == [(2, 1)]
    np.testing.assert_allclose(gradient, [np.mean(2 * (2 * x - y) * x)], rtol=1e-6)
    np.testing.assert_array_equal(y_pred, 2 * x)
    graph = run.get_concrete_function(tf.constant(x), tf.constant(y)).graph.as_graph_def()
    (loop,) = [node for node in graph.node if "While" in node.op]
    assert loop.attr["parallel_iterations"].i == 1


def test_parts_that_are_not_equal_are_refused_with_the_recipe():
    with pytest.raises(ValueError, match="a divisor of batch_size=8; got accumulation_steps=3"):
        TrainingOptions(batch_size=8, accumulation_steps=3)
    distribution.require_divisible(96, 4, 8)
    with pytest.raises(
        ValueError,
        match="devices times training.accumulation_steps; got batch_size=96 on 2 devices with "
        "accumulation_steps=32. Use 64 or 128",
    ):
        distribution.require_divisible(96, 2, 32)


_TWO_DEVICES = """
import json, sys
import tensorflow as tf
from mixer_tf.recipes import Recipe
sys.path += ["tests", "tests/training"]
import test_accumulation as tests

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
recipe = Recipe.from_json(sys.stdin.read())
with strategy.scope():
    model = tests.compiled(recipe, *json.loads(sys.argv[1]))
logs = tests.fit(model)
print(json.dumps((logs, {kind: value.tolist() for kind, value in tests.values(model).items()})))
"""


@pytest.mark.slow
def test_parts_on_two_devices_train_as_the_whole_batch_on_one(recipe):
    changes = SETTINGS["Adam"]
    done = subprocess.run(
        [
            *(sys.executable, "-c", _TWO_DEVICES),
            json.dumps([*changes, "training.accumulation_steps=2"]),
        ],
        input=recipe.to_json(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    logs, found = json.loads(done.stdout.splitlines()[-1])
    alone = compiled(recipe, *changes)
    expected = fit(alone)
    assert logs["loss"] == pytest.approx(expected["loss"], rel=1e-5)
    assert logs["gradient_norm"] == pytest.approx(expected["gradient_norm"], rel=1e-4)
    assert_close({kind: np.array(value) for kind, value in found.items()}, values(alone), 1e-4)
