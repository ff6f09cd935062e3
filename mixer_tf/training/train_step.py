# SPDX-License-Identifier: Apache-2.0
"""The train step: one update of the weights, and the norm of its gradient.

It updates the weights as Keras' own step does; what else is done with gradients belongs here.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from mixer_tf.models.noise import step_noise
from mixer_tf.models.recomputation import recomputing
from mixer_tf.training.accumulation import accumulate
from mixer_tf.training.autograph import without_autograph
from mixer_tf.training.class_weights import weighted_labels

GRADIENT_NORM = "gradient_norm"


def set_train_step(
    model: tf.keras.Model,
    seed: int = 0,
    *,
    accumulation_steps: int = 1,
    class_weights: Sequence[float] | None = None,
    recompute: bool = False,
) -> None:
    """Replaces the train step of a compiled model; call it within the strategy's scope.

    Stochastic depth and dropout draw from `seed` and the number of the step; each device and each
    part of a batch draws other noise.

    The logs of `fit` then have `gradient_norm`: the L2 norm of the gradient of the loss with
    respect to all weights together, averaged over the steps of an epoch. It is the gradient of the
    whole batch, of all replicas, before clipping. Steps that float16 skips, because the scaled
    gradient overflows, do not count.

    Args:
        model: the compiled model.
        seed: of the training.
        accumulation_steps: number of equal parts in which the batch of each device is computed.
        class_weights: factor of the loss of each class, but not of its accuracy; None for 1.
        recompute: keep only the inputs of blocks for the gradient.
    """
    norms = tf.keras.metrics.Mean(name=GRADIENT_NORM)
    reset_keras_metrics = model.reset_metrics

    def train_step(data):
        with recomputing(recompute):
            logs = _update(model, data, norms, seed, accumulation_steps, class_weights)
        return {**logs, GRADIENT_NORM: norms.result()}

    def reset_metrics():
        reset_keras_metrics()
        norms.reset_state()

    model.train_step = without_autograph(train_step)
    # As an attribute of the model, the metric would be evaluated and exported as well.
    model.reset_metrics = reset_metrics
    model.train_step.metrics = (norms,)


def epoch_metrics(model: tf.keras.Model) -> list[tf.keras.metrics.Metric]:
    """Returns all metrics that a train step updates: those of Keras, and those of this module."""
    return [*model.metrics, *model.train_step.metrics]


def _update(
    model: tf.keras.Model,
    data,
    norms: tf.keras.metrics.Mean,
    seed: int,
    accumulation_steps: int,
    class_weights: Sequence[float] | None,
) -> dict[str, tf.Tensor]:
    """Updates the weights and all metrics, and returns those of Keras."""
    x, y, sample_weight = tf.keras.utils.unpack_x_y_sample_weight(data)
    variables, optimizer = model.trainable_variables, model.optimizer
    first_part = optimizer.iterations * accumulation_steps

    def compute(part, x, y, sample_weight):
        noise = step_noise(seed, first_part + tf.cast(part, tf.int64))
        with tf.GradientTape() as tape, noise:
            y_pred = model(x, training=True)
            if class_weights is not None:
                y, sample_weight = weighted_labels(y, class_weights, sample_weight)
            loss = model.compute_loss(x, y, y_pred, sample_weight)
        pairs = optimizer.compute_gradients(loss, variables, tape)
        return [gradient for gradient, _ in pairs], y_pred

    if accumulation_steps == 1:
        gradients, y_pred = compute(0, x, y, sample_weight)
    else:
        num_classes = model.output_shape[-1]
        gradients, y_pred = accumulate(
            compute, (x, y, sample_weight), variables, accumulation_steps, num_classes
        )
    pairs = _summed_over_replicas(optimizer, zip(gradients, variables, strict=True))
    _count(tf.linalg.global_norm([gradient for gradient, _ in pairs]), optimizer, norms)
    optimizer.apply_gradients(pairs, skip_gradients_aggregation=True)
    return model.compute_metrics(x, y, y_pred, sample_weight)


def _summed_over_replicas(optimizer, pairs) -> list:
    """Returns (gradient, variable) pairs; their gradients are unscaled before and after.

    Keras divides the loss of each replica by the number of replicas, so that the sum is the
    gradient of the mean over the whole batch.
    """
    # For float16, an optimizer that scales the loss wraps the one that aggregates.
    return getattr(optimizer, "inner_optimizer", optimizer).aggregate_gradients(list(pairs))


def _count(norm: tf.Tensor, optimizer, norms: tf.keras.metrics.Mean) -> None:
    if not hasattr(optimizer, "inner_optimizer"):
        norms.update_state(norm)
        return
    is_finite = tf.math.is_finite(norm)
    norms.update_state(tf.where(is_finite, norm, 0), tf.cast(is_finite, tf.float32))
