# SPDX-License-Identifier: Apache-2.0
"""Compiles a model with the loss, the optimizer and the train step of a recipe."""

from __future__ import annotations

import tensorflow as tf

from mixer_tf.models.base import ConfiguredModel
from mixer_tf.recipes.schema import Recipe
from mixer_tf.serving import contract
from mixer_tf.training import optimizers, train_step
from mixer_tf.training.autograph import without_autograph

# On a TPU, callbacks run only after this many steps.
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
    """Compiles `model` for a training; call it within the strategy's scope.

    Args:
        model: the model of the recipe.
        recipe: the recipe of the training.
        total_steps: number of steps of the whole training.
        strategy: the strategy that the training runs under.

    Returns:
        One line for each deviation from the recipe.
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
        weighted_metrics=_metrics(model.output_shape[-1]),
        jit_compile=jit,
        steps_per_execution=_TPU_STEPS_PER_EXECUTION if on_tpu else 1,
    )
    # Every value that a step returns is a metric of all replicas together, which Keras by default
    # sums once more over several workers.
    model.distribute_reduction_method = "first"
    train_step.set_train_step(model)
    _build_metrics(model)
    return notes


def _metrics(num_classes: int) -> list[tf.keras.metrics.Metric]:
    """Top-1, and top-k where there are more than k classes."""
    metrics = [tf.keras.metrics.CategoricalAccuracy(name="accuracy")]
    if num_classes > contract.TOP_K:
        name = contract.top_k_metric()
        metrics.append(tf.keras.metrics.TopKCategoricalAccuracy(contract.TOP_K, name=name))
    return metrics


def _build_metrics(model: ConfiguredModel) -> None:
    """Halves the time to the first step.

    Otherwise Keras creates the variables of the loss and the metrics in the first step, and
    therefore traces it twice.
    """
    outputs = tf.zeros([1, *model.output_shape[1:]])
    model.compiled_loss.build(outputs)
    model.compiled_metrics.build(outputs, outputs)
    model.test_step = without_autograph(model.test_step)


def _jit_compile(recipe: Recipe, strategy: tf.distribute.Strategy) -> tuple[bool, tuple[str, ...]]:
    if not recipe.training.jit_compile or isinstance(strategy, tf.distribute.TPUStrategy):
        return False, ()  # a TPU compiles in any case
    is_default = strategy.num_replicas_in_sync == 1
    if is_default or tf.config.list_physical_devices("GPU"):
        return True, ()
    return False, ("jit_compile is off: XLA cannot join several CPU devices.",)
