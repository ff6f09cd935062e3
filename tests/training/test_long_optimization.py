# SPDX-License-Identifier: Apache-2.0
"""The optimizers over 1,000 steps against independent references.

The weights are those of two quadratic functions, so that gradients depend on the weights and an
early error grows or stays, as in a training.
"""

import json
import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf

from mixer_tf.recipes.schema import OptimizerOptions
from mixer_tf.training import optimizers

STEPS = 1_000
SHAPES = {"layer/kernel": (5, 7), "layer/bias": (7,)}
OPTIONS = dict(learning_rate=0.02, schedule="linear", warmup_steps=100, clip_norm=1.0)


def problem():
    """(weights at the start, curvature, noise of the gradients of each step), of each variable."""
    rng = np.random.default_rng(0)
    return [
        (
            rng.normal(size=shape).astype(np.float32),
            rng.uniform(0.1, 2, shape).astype(np.float32),
            rng.normal(size=(STEPS, *shape)).astype(np.float32),
        )
        for shape in SHAPES.values()
    ]


def train(options, strategy=None):
    """The weights, and their averages, after all steps of our optimizer.

    Each device of a strategy has an equal part of the gradient.
    """
    strategy = strategy or tf.distribute.get_strategy()
    with strategy.scope():
        return _train(options, strategy)


def _train(options, strategy):
    values = [tuple(map(tf.constant, arrays)) for arrays in problem()]
    variables = [tf.Variable(value[0], name=n) for n, value in zip(SHAPES, values, strict=True)]
    optimizer = optimizers.create(options, STEPS)
    optimizer.build(variables)

    def step(index):
        gradients = [
            (curvature * variable + noise[index]) / strategy.num_replicas_in_sync
            for variable, (_, curvature, noise) in zip(variables, values, strict=True)
        ]
        pairs = optimizer.aggregate_gradients(list(zip(gradients, variables, strict=True)))
        optimizer.apply_gradients(pairs, skip_gradients_aggregation=True)

    @tf.function
    def run():
        for index in tf.range(STEPS):
            strategy.run(step, (index,))

    run()
    averages = optimizer._model_variables_moving_average if options.ema else []
    return [variable.numpy() for variable in (*variables, *averages)]


def reference(options, dtype=np.float64, momentum_dtype=None):
    """The same in numpy, from the formulas; the momentum is stored in `momentum_dtype`."""
    values = problem()
    weights = [start.astype(dtype) for start, _, _ in values]
    averages = [weight.copy() for weight in weights]
    first = [np.zeros(w.shape, momentum_dtype or dtype) for w in weights]
    second = [np.zeros(w.shape, dtype) for w in weights]
    for step in range(STEPS):
        gradients = [c * w + noise[step] for w, (_, c, noise) in zip(weights, values, strict=True)]
        norm = np.sqrt(sum(np.sum(gradient**2) for gradient in gradients))
        rate = factor(step, options)
        for i, gradient in enumerate(gradients):
            gradient = (gradient * min(1, options.clip_norm / norm)).astype(dtype)
            if options.name == "momentum":
                moment = decayed(first[i], options.momentum) + gradient
                update = moment
            else:
                moment = decayed(first[i], options.beta_1) + (1 - options.beta_1) * gradient
                second[i] = options.beta_2 * second[i] + (1 - options.beta_2) * gradient**2
                mean = moment / (1 - options.beta_1 ** (step + 1))
                square = second[i] / (1 - options.beta_2 ** (step + 1))
                update = mean / (np.sqrt(square) + options.epsilon)
            first[i] = moment.astype(first[i].dtype)
            decay = options.weight_decay * weights[i] if i == 0 else 0
            weights[i] = (weights[i] - rate * (options.learning_rate * update + decay)).astype(
                dtype
            )
            averages[i] = options.ema * averages[i] + (1 - options.ema) * weights[i]
    return [*weights, *averages] if options.ema else weights


def decayed(moment, decay):
    """In bfloat16, factor and product are rounded, as jax does with a Python number."""
    if moment.dtype != ml_dtypes.bfloat16:
        return decay * moment
    return (ml_dtypes.bfloat16(decay) * moment).astype(np.float32)


def factor(step, options):
    """big_vision's schedule."""
    progress = min(max((step - options.warmup_steps) / (STEPS - options.warmup_steps), 0), 1)
    end = options.final_fraction
    return (end + (1 - end) * (1 - progress)) * min(1, step / options.warmup_steps)


def errors(found, expected):
    """The difference relative to the whole change of the weights, of each variable."""
    starts = [start for start, _, _ in problem()] * (len(expected) // len(SHAPES))
    return [
        np.linalg.norm(value - same) / np.linalg.norm(same - start)
        for value, same, start in zip(found, expected, starts, strict=True)
    ]


@pytest.mark.parametrize("ema", [0.0, 0.99])
@pytest.mark.parametrize("name", ["adam", "momentum"])
def test_equals_float64(name, ema):
    options = OptimizerOptions(name=name, weight_decay=1e-3, ema=ema, **OPTIONS)
    assert max(errors(train(options), reference(options))) < 1e-5


@pytest.mark.parametrize("name", ["adam", "momentum"])
def test_momentum_in_bfloat16_equals_ml_dtypes(name):
    options = OptimizerOptions(name=name, weight_decay=1e-3, momentum_dtype="bfloat16", **OPTIONS)
    found = train(options)
    assert max(errors(found, reference(options, np.float32, ml_dtypes.bfloat16))) < 2e-4
    assert min(errors(found, reference(options))) > 5e-4  # the buffers really are in bfloat16


def test_momentum_in_bfloat16_equals_optax():
    """Over a few steps: step by step, jax takes long."""
    jax = pytest.importorskip("jax", reason="the extra `references` is not installed")
    optax = pytest.importorskip("optax", reason="the extra `references` is not installed")
    chain = optax.chain(
        optax.clip_by_global_norm(1.0), optax.trace(0.9, accumulator_dtype="bfloat16")
    )
    options = OptimizerOptions(
        name="momentum", weight_decay=0.0, momentum_dtype="bfloat16", **OPTIONS
    )
    variables = [tf.Variable(start) for start, _, _ in problem()]
    optimizer = optimizers.create(options, STEPS)
    weights = [jax.numpy.array(start) for start, _, _ in problem()]
    state = chain.init(weights)
    for step in range(30):
        gradients = [noise[step] for _, _, noise in problem()]
        optimizer.apply_gradients(zip(map(tf.constant, gradients), variables, strict=True))
        updates, state = chain.update(gradients, state)
        rate = options.learning_rate * factor(step, options)
        weights = [w - rate * update for w, update in zip(weights, updates, strict=True)]
    for variable, weight in zip(variables, weights, strict=True):
        np.testing.assert_allclose(variable.numpy(), weight, rtol=1e-6, atol=1e-6)


_TWO_DEVICES = """
import json, sys
import tensorflow as tf
sys.path.append("tests/training")
import test_long_optimization as tests

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
options = tests.OptimizerOptions(**json.loads(sys.argv[1]))
print(json.dumps([weights.tolist() for weights in tests.train(options, strategy)]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["adam", "momentum"])
def test_two_devices_average_the_same_weights(name):
    values = dict(name=name, weight_decay=1e-3, ema=0.99, **OPTIONS)
    done = subprocess.run(
        [sys.executable, "-c", _TWO_DEVICES, json.dumps(values)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert max(errors(found, reference(OptimizerOptions(**values)))) < 1e-5
