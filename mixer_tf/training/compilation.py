# SPDX-License-Identifier: Apache-2.0
"""Compiles a model with the loss, the optimizer and the train step of a recipe."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import tensorflow as tf

from mixer_tf import library_messages
from mixer_tf.models.base import ConfiguredModel
from mixer_tf.recipes.schema import Recipe, TrainingOptions
from mixer_tf.serving import contract
from mixer_tf.training import freezing, layer_rates, optimizers, train_step
from mixer_tf.training.autograph import without_autograph
from mixer_tf.training.class_weights import class_weights

# Where the recipe gives no number; on a TPU, waiting for the host would take much of each step.
_STEPS_PER_EXECUTION = 1
_TPU_STEPS_PER_EXECUTION = 50


class SigmoidCrossEntropy(tf.keras.losses.Loss):
    """Sigmoid cross-entropy summed over the classes, as in the paper's pre-training.

    Shape: labels and logits [N, num_classes] -> [N], before the reduction.

    Args:
        label_smoothing: s, where labels y become y·(1 - s) + s/2, as in Keras' BinaryCrossentropy.
    """

    def __init__(self, label_smoothing: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.label_smoothing = label_smoothing

    def call(self, y_true, y_pred):
        labels = tf.cast(y_true, y_pred.dtype)
        if self.label_smoothing:
            labels = labels * (1 - self.label_smoothing) + 0.5 * self.label_smoothing
        losses = tf.nn.sigmoid_cross_entropy_with_logits(labels, y_pred)
        return tf.reduce_sum(losses, axis=-1)

    def get_config(self):
        return {**super().get_config(), "label_smoothing": self.label_smoothing}


def compile_model(
    model: ConfiguredModel,
    recipe: Recipe,
    total_steps: int,
    strategy: tf.distribute.Strategy,
    class_counts: Sequence[int] | None = None,
) -> tuple[str, ...]:
    """Compiles `model` for a training; call it within the strategy's scope.

    Args:
        model: the model of the recipe.
        recipe: the recipe of the training.
        total_steps: number of steps of the whole training.
        strategy: the strategy that the training runs under.
        class_counts: number of training images of each class; None if unknown.

    Returns:
        One line for each deviation from the recipe.

    Raises:
        ValueError: the recipe names a layer that does not exist, or weights classes whose counts
            are not known.
    """
    weights = class_weights(recipe.training.class_weights, class_counts)
    freezing.freeze(model, recipe.training.freeze)
    factors = layer_rates.weight_factors(model, recipe.optimizer.layer_rates)
    jit, notes = _jit_compile(recipe, strategy)
    model.compile(
        optimizer=optimizers.create(recipe.optimizer, total_steps, factors),
        loss=_create_loss(recipe.training),
        weighted_metrics=_metrics(model.output_shape[-1]),
        jit_compile=jit,
        steps_per_execution=_steps_per_execution(recipe, strategy),
    )
    # Every value that a step returns is a metric of all replicas together, which Keras by default
    # sums once more over several workers.
    model.distribute_reduction_method = "first"
    train_step.set_train_step(
        model,
        recipe.training.seed,
        accumulation_steps=recipe.training.accumulation_steps,
        class_weights=weights,
        recompute=recipe.training.recompute,
    )
    _build_metrics(model)
    return (*notes, *optimizers.warmup_notes(recipe.optimizer, total_steps))


def _create_loss(training: TrainingOptions) -> tf.keras.losses.Loss:
    smoothing = training.label_smoothing
    if training.loss == "sigmoid":
        return SigmoidCrossEntropy(smoothing)
    return tf.keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)


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


def _steps_per_execution(recipe: Recipe, strategy: tf.distribute.Strategy) -> int:
    on_tpu = isinstance(strategy, tf.distribute.TPUStrategy)
    default = _TPU_STEPS_PER_EXECUTION if on_tpu else _STEPS_PER_EXECUTION
    return recipe.training.steps_per_execution or default


def _jit_compile(recipe: Recipe, strategy: tf.distribute.Strategy) -> tuple[bool, tuple[str, ...]]:
    if not recipe.training.jit_compile or isinstance(strategy, tf.distribute.TPUStrategy):
        return False, ()  # a TPU compiles in any case
    is_default = strategy.num_replicas_in_sync == 1
    if is_default or tf.config.list_physical_devices("GPU"):
        _start_xla()
        return True, ()
    return False, ("jit_compile is off: XLA cannot join several CPU devices.",)


@functools.cache
def _start_xla() -> None:
    """Compiles something: the first time, XLA says so, and would do it amid the progress."""
    with library_messages.capture():
        tf.function(tf.negative, jit_compile=True, autograph=False)(1.0)
