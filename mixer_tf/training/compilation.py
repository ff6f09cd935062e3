# SPDX-License-Identifier: Apache-2.0
"""Puts a recipe's model, loss and optimiser together."""

from __future__ import annotations

import tensorflow as tf

from mixer_tf.models.base import ConfiguredModel
from mixer_tf.recipes.schema import Recipe
from mixer_tf.training import optimizers
from mixer_tf.training.autograph import without_autograph

# Python returns to the loop, and callbacks run, only this often on a TPU.
_TPU_STEPS_PER_EXECUTION = 50


class SigmoidCrossEntropy(tf.keras.losses.Loss):
    """Sigmoid cross-entropy summed over the classes, as in the paper's pre-training.

    Shape: labels and logits [N, num_classes] -> [N], before the reduction.
    """

    def call(self, y_true, y_pred):
        losses = tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(y_true, y_pred.dtype), y_pred)
        return tf.reduce_sum(losses, axis=-1)


def compile_model(
    model: ConfiguredModel, recipe: Recipe, total_steps: int, strategy: tf.distribute.Strategy
) -> tuple[str, ...]:
    """Gives `model` its loss, optimiser and metric; call it within the strategy's scope.

    Returns:
        A note for each thing that is done otherwise than the recipe says.
    """
    on_tpu = isinstance(strategy, tf.distribute.TPUStrategy)
    jit, notes = _jit_compile(recipe, strategy)
    loss = {
        "softmax": tf.keras.losses.CategoricalCrossentropy(from_logits=True),
        "sigmoid": SigmoidCrossEntropy(),
    }[recipe.training.loss]
    model.compile(
        optimizer=optimizers.create(recipe.optimizer, total_steps),
        loss=loss,
        weighted_metrics=[tf.keras.metrics.CategoricalAccuracy(name="accuracy")],
        jit_compile=jit,
        steps_per_execution=_TPU_STEPS_PER_EXECUTION if on_tpu else 1,
    )
    _shorten_start(model)
    return notes


def _shorten_start(model: ConfiguredModel) -> None:
    """Halves the time to the first step.

    Keras would make the variables of loss and metrics in that step, and trace it twice for their
    sake.
    """
    outputs = tf.zeros([1, *model.output_shape[1:]])
    model.compiled_loss.build(outputs)
    model.compiled_metrics.build(outputs, outputs)
    model.train_step = without_autograph(model.train_step)
    model.test_step = without_autograph(model.test_step)


def _jit_compile(recipe: Recipe, strategy: tf.distribute.Strategy) -> tuple[bool, tuple[str, ...]]:
    if not recipe.training.jit_compile or isinstance(strategy, tf.distribute.TPUStrategy):
        return False, ()  # a TPU compiles everything anyway
    is_default = strategy.num_replicas_in_sync == 1
    if is_default or tf.config.list_physical_devices("GPU"):
        return True, ()
    return False, ("jit_compile is off: XLA cannot join several CPU devices.",)
