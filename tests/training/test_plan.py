# SPDX-License-Identifier: Apache-2.0
"""The plan shown before a training, against a model that is built and counted."""

import dataclasses

import pytest
import tensorflow as tf

from mixer_tf import factory, recipes
from mixer_tf.models import costs
from mixer_tf.training import distribution, optimizers
from mixer_tf.training.length import training_length
from mixer_tf.training.plan import Plan


def make_plan(*overrides, num_devices: int = 1) -> Plan:
    recipe = recipes.get("digits").override(["training.epochs=12", *overrides])
    return Plan(recipe, training_length(recipe.training, 1289), 1289, 184, 10, num_devices)


def test_a_plan_is_one_compact_block():
    assert make_plan().lines() == [
        "network  mixer, 141,578 parameters, 16x16 pixels",
        "length   12 epochs, 242 steps; batches of 64 from 1,289 images, 184 to evaluate",
        "cost     463 M multiply-adds per step, 112 G in all",
        "memory   about 27.2 MB per device: weights and gradients 1.13 MB, optimizer 1.7 MB, "
        "activations 24.4 MB",
        "devices  1 CPU, strategy default, float32",
    ]


@pytest.mark.parametrize(
    ("name", "ema"), [("adam", 0.99), ("adam", 0.0), ("momentum", 0.0), ("momentum", 0.9)]
)
def test_weights_and_optimizer_are_what_keras_keeps(name, ema):
    plan = make_plan(f"optimizer.name={name}", f"optimizer.ema={ema}")
    model = factory.from_recipe(plan.recipe, 10)
    assert plan.parameters == model.count_params()
    assert plan.weight_bytes == 2 * 4 * model.count_params()  # with the gradients
    optimizer = optimizers.create(plan.recipe.optimizer, plan.length.steps)
    optimizer.build(model.trainable_variables)
    kept = sum(v.shape.num_elements() for v in optimizer.variables if v.shape.rank)
    assert plan.optimizer_bytes == 4 * kept


def test_a_first_moment_in_bfloat16_takes_half_of_the_bytes():
    plan = make_plan("optimizer.momentum_dtype=bfloat16", "optimizer.ema=0")
    assert plan.optimizer_bytes == 6 * plan.parameters  # two and four


def test_a_plan_says_that_frozen_layers_count():
    (cost,) = [line for line in make_plan("training.freeze=stem").lines() if "cost" in line]
    assert cost.endswith(" in all; as if nothing were frozen")


def test_devices_and_parts_share_the_activations_of_a_batch():
    whole = make_plan().activation_bytes
    assert make_plan(num_devices=2).activation_bytes == whole / 2
    assert make_plan("training.accumulation_steps=4").activation_bytes == whole / 4
    assert make_plan("training.batch_size=128").activation_bytes == 2 * whole


def test_16_bits_halve_the_activations_except_those_of_normalization():
    whole = make_plan().activation_bytes
    assert whole / 2 < make_plan("training.precision=mixed_bfloat16").activation_bytes < whole


def test_a_step_has_the_multiply_adds_that_tensorflow_counts():
    """TensorFlow counts two operations for each, those of the matrix products of one step."""
    from tensorflow.python.profiler import model_analyzer, option_builder

    plan = make_plan()
    model = factory.from_recipe(plan.recipe, 10)

    @tf.function
    def step(images):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(images, training=True) ** 2)
        return tape.gradient(loss, model.trainable_variables)

    graph = step.get_concrete_function(tf.zeros([64, 16, 16, 3])).graph
    options = option_builder.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    products = [
        node.total_float_ops
        for node in model_analyzer.profile(graph, options=options).children
        if "MatMul" in node.name or "Conv" in node.name or "Tensordot" in node.name
    ]
    assert sum(products) == 2 * plan.multiply_adds_per_step


def test_the_strategy_has_the_name_that_users_give():
    assert distribution.describe(tf.distribute.get_strategy()) == ("CPU", "default")
    mirrored = tf.distribute.MirroredStrategy(["CPU:0"])
    assert distribution.describe(mirrored) == ("CPU", "mirrored")
    assert distribution.describe(tf.distribute.OneDeviceStrategy("CPU:0"))[1] == "OneDeviceStrategy"


def test_a_model_that_is_larger_than_that_of_the_recipe_is_counted():
    """Such as one with weights that were upscaled for larger images."""
    found = make_plan()
    larger = dataclasses.replace(found.config, tokens_mlp_dim=4 * found.config.tokens_mlp_dim)
    planned = dataclasses.replace(found, built=larger)
    assert planned.parameters == costs.count_parameters(larger) > found.parameters
    assert f"{planned.parameters:,} parameters" in planned.lines()[0]
