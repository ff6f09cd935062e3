# SPDX-License-Identifier: Apache-2.0
"""The optimizers against numpy written from the formulas, and against optax."""

import numpy as np
import pytest
import tensorflow as tf

from mixer_tf.recipes.schema import OptimizerOptions
from mixer_tf.training import optimizers

STEPS = 12


def _variables():
    random = np.random.default_rng(0)
    kernel = tf.Variable(random.normal(size=(3, 4)).astype(np.float32), name="dense/kernel")
    bias = tf.Variable(random.normal(size=4).astype(np.float32), name="dense/bias")
    return kernel, bias


def _gradients(scale=1.0):
    random = np.random.default_rng(1)
    return [
        (
            scale * random.normal(size=(3, 4)).astype(np.float32),
            scale * random.normal(size=4).astype(np.float32),
        )
        for _ in range(STEPS)
    ]


def _run(options, gradients, rate_factors=None):
    variables = _variables()
    optimizer = optimizers.create(options, STEPS, rate_factors)
    for step_gradients in gradients:
        optimizer.apply_gradients(zip(map(tf.constant, step_gradients), variables, strict=True))
    return [variable.numpy() for variable in variables]


def _factor(step, options):
    """big_vision's schedule, in Python."""
    progress = min(max((step - options.warmup_steps) / (STEPS - options.warmup_steps), 0), 1)
    end = options.final_fraction
    decay = {
        "linear": end + (1 - end) * (1 - progress),
        "cosine": 0.5 * (1 + np.cos(np.pi * progress)),
        "constant": 1.0,
    }[options.schedule]
    return decay * (min(1, step / options.warmup_steps) if options.warmup_steps else 1)


def _reference(options, gradients, rate_factors=(1, 1)):
    """Both optimizers in float64: clip, update, decay of the kernel alone."""
    weights = [variable.numpy().astype(np.float64) for variable in _variables()]
    first = [np.zeros_like(weight) for weight in weights]
    second = [np.zeros_like(weight) for weight in weights]
    for step, step_gradients in enumerate(gradients):
        norm = np.sqrt(sum(np.sum(np.square(g, dtype=np.float64)) for g in step_gradients))
        clip = min(1, options.clip_norm / norm) if options.clip_norm else 1
        factor = _factor(step, options)
        for i, gradient in enumerate(step_gradients):
            gradient = gradient * clip
            if options.name == "momentum":
                first[i] = options.momentum * first[i] + gradient
                update = first[i]
            else:
                first[i] = options.beta_1 * first[i] + (1 - options.beta_1) * gradient
                second[i] = options.beta_2 * second[i] + (1 - options.beta_2) * gradient**2
                mean = first[i] / (1 - options.beta_1 ** (step + 1))
                square = second[i] / (1 - options.beta_2 ** (step + 1))
                update = mean / (np.sqrt(square) + options.epsilon)
            decay = options.weight_decay * weights[i] if i == 0 else 0
            change = factor * rate_factors[i] * (options.learning_rate * update + decay)
            weights[i] = weights[i] - change
    return weights


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
@pytest.mark.parametrize("warmup_steps", [0, 3])
@pytest.mark.parametrize("name", ["adam", "momentum"])
def test_equals_the_formulas(name, warmup_steps, schedule):
    options = OptimizerOptions(
        name=name,
        learning_rate=0.1,
        schedule=schedule,
        warmup_steps=warmup_steps,
        weight_decay=0.03,
    )
    for value, expected in zip(
        _run(options, _gradients()), _reference(options, _gradients()), strict=True
    ):
        np.testing.assert_allclose(value, expected, rtol=2e-5, atol=5e-6)


@pytest.mark.parametrize("name", ["adam", "momentum"])
def test_each_weight_has_its_own_learning_rate(name):
    """Its decay is multiplied as well; clipping is of all gradients together, as without."""
    options = OptimizerOptions(name=name, learning_rate=0.1, warmup_steps=3, weight_decay=0.03)
    factors = {"dense/kernel:0": 0.1, "dense/bias:0": 3.0}
    found = _run(options, _gradients(), factors)
    expected = _reference(options, _gradients(), rate_factors=(0.1, 3))
    for value, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(value, wanted, rtol=2e-5, atol=5e-6)

    plain, ones = _run(options, _gradients()), dict.fromkeys(factors, 1.0)
    for value, same in zip(_run(options, _gradients(), ones), plain, strict=True):
        np.testing.assert_array_equal(value, same)


def test_epsilon_stays_outside_the_root_and_uncorrected():
    """For gradients near epsilon, Keras' form differs by far more than this tolerance."""
    options = OptimizerOptions(learning_rate=0.1, warmup_steps=0, weight_decay=0.0)
    gradients = _gradients(scale=1e-8)
    value, expected = _run(options, gradients)[0], _reference(options, gradients)[0]
    np.testing.assert_allclose(value, expected, rtol=2e-5, atol=5e-6)

    keras = tf.keras.optimizers.Adam(0.1, epsilon=1e-8)
    kernel, _ = _variables()
    keras.apply_gradients([(tf.constant(gradients[0][0]), kernel)])
    ours = _run(options, gradients[:1])[0]
    assert np.abs(kernel.numpy() - ours).max() > 0.01


def test_momentum_keeps_the_learning_rate_outside_the_buffer():
    """Learning rates .1, .01, .01 and gradients of 1: -0.146 in the authors' code."""

    class Rates(optimizers.WarmupDecay):
        def factor(self, step):
            return tf.gather([1.0, 0.1, 0.1], step)

    weight = tf.Variable([0.0])
    optimizer = optimizers.Momentum(Rates(0.1, total_steps=3))
    for _ in range(3):
        optimizer.apply_gradients([(tf.constant([1.0]), weight)])
    assert weight.numpy()[0] == pytest.approx(-0.1 - 0.019 - 0.0271)


@pytest.mark.parametrize("name", ["adam", "momentum"])
def test_equals_optax(name):
    jax = pytest.importorskip("jax", reason="the extra `references` is not installed")
    optax = pytest.importorskip("optax", reason="the extra `references` is not installed")
    options = OptimizerOptions(
        name=name, learning_rate=0.1, schedule="cosine", warmup_steps=3, weight_decay=0.03
    )
    update = optax.scale_by_adam() if name == "adam" else optax.trace(decay=0.9)
    chain = optax.chain(
        optax.clip_by_global_norm(1.0),
        update,
        optax.scale(0.1),
        optax.add_decayed_weights(0.03, mask=lambda weights: [True, False]),
        optax.scale_by_schedule(lambda step: _jax_factor(step, options)),
        optax.scale(-1.0),
    )
    weights = [jax.numpy.array(variable.numpy()) for variable in _variables()]
    state = chain.init(weights)
    for gradients in _gradients():
        updates, state = chain.update(list(gradients), state, weights)
        weights = optax.apply_updates(weights, updates)
    for value, expected in zip(_run(options, _gradients()), weights, strict=True):
        np.testing.assert_allclose(value, np.array(expected), rtol=2e-5, atol=5e-6)


def _jax_factor(step, options):
    import jax.numpy as jnp

    return jnp.array([_factor(i, options) for i in range(STEPS)])[step]


def test_average_of_the_weights_is_maintained():
    options = OptimizerOptions(learning_rate=0.1, warmup_steps=0, ema=0.5, clip_norm=None)
    optimizer = optimizers.create(options, total_steps=STEPS)
    kernel, _ = _variables()
    average = kernel.numpy()
    for gradients in _gradients():
        optimizer.apply_gradients([(tf.constant(gradients[0]), kernel)])
        average = 0.5 * average + 0.5 * kernel.numpy()
    optimizer.finalize_variable_values([kernel])
    np.testing.assert_allclose(kernel.numpy(), average, rtol=1e-5)


def test_warmup_is_shortened_only_where_it_would_fill_the_training():
    options = OptimizerOptions(warmup_steps=10_000)
    # The second is the authors' own training of 60 epochs on ImageNet.
    for total_steps, expected in ((400, 100), (18_579, 10_000), (10_000, 2_500)):
        optimizer = optimizers.create(options, total_steps)
        assert optimizer.get_config()["learning_rate"]["config"]["warmup_steps"] == expected
        notes = optimizers.warmup_notes(options, total_steps)
        assert len(notes) == (expected != 10_000)


@pytest.mark.parametrize("kind", [optimizers.Adam, optimizers.Momentum])
def test_config_round_trip(kind):
    schedule = optimizers.WarmupDecay(0.1, 100, 10, "cosine", 0.01)
    optimizer = kind(schedule, weight_decay=0.2, rate_factors={"w:0": 0.5}, global_clipnorm=1.0)
    serialized = tf.keras.optimizers.serialize(optimizer)
    copy = tf.keras.optimizers.deserialize(serialized)
    assert type(copy) is kind
    assert copy.get_config() == optimizer.get_config()


def test_each_weight_is_changed_once_in_a_step():
    """Keras' own decay, which is 0, would be a second pass over all of them."""
    variables = _variables()
    optimizer = optimizers.create(OptimizerOptions(name="momentum", clip_norm=None), STEPS)
    optimizer.build(variables)

    @tf.function
    def step():
        optimizer.apply_gradients(zip(_gradients()[0], variables, strict=True))

    operations = [each.type for each in step.get_concrete_function().graph.get_operations()]
    assert operations.count("AssignSubVariableOp") == len(variables)
