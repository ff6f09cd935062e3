# SPDX-License-Identifier: Apache-2.0
"""One measurement of a Mixer in Flax, in a process of its own: as `throughput_process` does."""

from __future__ import annotations

import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.flax_mixer import Mixer
from mixer_tf import recipes
from mixer_tf.benchmarks import machine, measured_process
from mixer_tf.benchmarks.measured_process import Framework, Work
from mixer_tf.benchmarks.timing import calls_per_second
from mixer_tf.models import registry

_DTYPES = {"float32": None, "mixed_bfloat16": jnp.bfloat16}


def main(arguments: str) -> None:
    """Prints the fields of `throughput.Result` that a measurement finds.

    Args:
        arguments: the fields of `throughput.Setting` and "seconds", as JSON.
    """
    setting = json.loads(arguments)
    build = {"forward": _forward, "training": _training}[setting["mode"]]
    jnp.zeros(1).block_until_ready()  # starts JAX
    measured_process.report(lambda: build(setting), setting, _framework())


def _framework() -> Framework:
    """On a GPU, JAX measures: TensorFlow would need its own libraries and memory there."""
    device = jax.devices()[0]
    if device.platform == "cpu":
        return Framework()
    return Framework(_matrix_rate, lambda: device.memory_stats()["peak_bytes_in_use"])


def _matrix_rate(precision: str, seconds: float) -> float:
    side, dtype = machine.GPU_SIDE, _DTYPES[precision] or jnp.float32
    matrix = jax.random.normal(jax.random.PRNGKey(0), (side, side), dtype)
    product = jax.jit(lambda matrix: matrix @ matrix)
    rate = calls_per_second(lambda: product(matrix), seconds, wait=jax.block_until_ready)
    return 2 * side**3 * rate


def _network(setting: dict) -> tuple[Mixer, object, np.ndarray]:
    """Returns the network, its initial weights, and pixels, uint8 [N, S, S, 3]."""
    size, num_classes = setting["image_size"], setting["num_classes"]
    config = registry.resolve(
        setting["model"], image_size=size, num_classes=num_classes, **setting["fields"]
    )
    network = Mixer(config, _DTYPES[setting["precision"]])
    random = np.random.default_rng(0)
    shape = (setting["batch_size"], size, size, 3)
    pixels = random.integers(0, 256, shape, dtype=np.uint8)
    params = jax.jit(network.init)(jax.random.PRNGKey(0), jnp.zeros((1, size, size, 3)))["params"]
    return network, params, pixels


def _logits(network: Mixer, params, pixels) -> jax.Array:
    return network.apply({"params": params}, pixels / 127.5 - 1.0).astype(jnp.float32)


def _forward(setting: dict) -> Work:
    network, params, pixels = _network(setting)
    function = jax.jit(lambda params, pixels: _logits(network, params, pixels))
    pixels = jnp.asarray(pixels)
    return Work(lambda: function(params, pixels), setting["batch_size"], np.asarray)


def _training(setting: dict) -> Work:
    """The update of the recipe that `throughput_process` has, on the same batch again and again."""
    network, params, pixels = _network(setting)
    optimizer = _optimizer()
    labels = jax.nn.one_hot(
        np.arange(setting["batch_size"]) % setting["num_classes"], setting["num_classes"]
    )

    def compute_loss(params, pixels, labels):
        logits = _logits(network, params, pixels)
        return optax.sigmoid_binary_cross_entropy(logits, labels).sum(-1).mean()

    def update(params, state, pixels, labels):
        loss, gradients = jax.value_and_grad(compute_loss)(params, pixels, labels)
        updates, state = optimizer.update(gradients, state, params)
        return optax.apply_updates(params, updates), state, loss

    step = jax.jit(update, donate_argnums=(0, 1))
    pixels, variables = jnp.asarray(pixels), [params, optimizer.init(params)]
    del params  # they are donated to the first step

    def run() -> jax.Array:
        *variables[:], loss = step(*variables, pixels, labels)
        return loss

    return Work(run, setting["batch_size"], wait=float)


def _optimizer() -> optax.GradientTransformation:
    options = recipes.get("pretrain_imagenet_b16").optimizer
    schedule = optax.warmup_cosine_decay_schedule(
        0.0, options.learning_rate, options.warmup_steps, 2 * options.warmup_steps
    )
    return optax.chain(
        optax.clip_by_global_norm(options.clip_norm),
        optax.adamw(
            schedule,
            options.beta_1,
            options.beta_2,
            options.epsilon,
            weight_decay=options.weight_decay / options.learning_rate,
            mask=lambda params: jax.tree_util.tree_map(lambda each: each.ndim > 1, params),
        ),
    )


if __name__ == "__main__":
    main(sys.argv[1])
