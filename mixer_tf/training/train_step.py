# SPDX-License-Identifier: Apache-2.0
"""The train step: one update of the weights, and the norm of its gradient.

It updates the weights as Keras' own step does; what else is done with gradients belongs here.
"""

from __future__ import annotations

import tensorflow as tf

from mixer_tf.models.noise import step_noise
from mixer_tf.training.autograph import without_autograph

GRADIENT_NORM = "gradient_norm"


def set_train_step(model: tf.keras.Model, seed: int = 0) -> None:
    """Replaces the train step of a compiled model; call it within the strategy's scope.

    Stochastic depth and dropout draw from `seed` and the number of the step.

    The logs of `fit` then have `gradient_norm`: the L2 norm of the gradient of the loss with
    respect to all weights together, averaged over the steps of an epoch. It is the gradient of the
    whole batch, of all replicas, before clipping. Steps that float16 skips, because the scaled
    gradient overflows, do not count.
    """
    norms = tf.keras.metrics.Mean(name=GRADIENT_NORM)
    reset_keras_metrics = model.reset_metrics

    def train_step(data):
        return {**_update(model, data, norms, seed), GRADIENT_NORM: norms.result()}

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
    model: tf.keras.Model, data, norms: tf.keras.metrics.Mean, seed: int
) -> dict[str, tf.Tensor]:
    """Updates the weights and all metrics, and returns those of Keras."""
    x, y, sample_weight = tf.keras.utils.unpack_x_y_sample_weight(data)
    with tf.GradientTape() as tape, step_noise(seed, model.optimizer.iterations):
        y_pred = model(x, training=True)
        loss = model.compute_loss(x, y, y_pred, sample_weight)
    gradients = _aggregated_gradients(model, loss, tape)
    _count(tf.linalg.global_norm([gradient for gradient, _ in gradients]), model.optimizer, norms)
    model.optimizer.apply_gradients(gradients, skip_gradients_aggregation=True)
    return model.compute_metrics(x, y, y_pred, sample_weight)


def _aggregated_gradients(model: tf.keras.Model, loss: tf.Tensor, tape: tf.GradientTape) -> list:
    """Returns (gradient, variable) pairs, unscaled and summed over the replicas.

    Keras divides the loss of each replica by the number of replicas, so that the sum is the
    gradient of the mean over the whole batch.
    """
    optimizer = model.optimizer
    gradients = optimizer.compute_gradients(loss, model.trainable_variables, tape)
    # For float16, an optimizer that scales the loss wraps the one that aggregates.
    return getattr(optimizer, "inner_optimizer", optimizer).aggregate_gradients(gradients)


def _count(norm: tf.Tensor, optimizer, norms: tf.keras.metrics.Mean) -> None:
    if not hasattr(optimizer, "inner_optimizer"):
        norms.update_state(norm)
        return
    is_finite = tf.math.is_finite(norm)
    norms.update_state(tf.where(is_finite, norm, 0), tf.cast(is_finite, tf.float32))
