# SPDX-License-Identifier: Apache-2.0
"""Mixup: pairs of images of a batch and their labels, mixed (paper, supplement B)."""

from __future__ import annotations

import tensorflow as tf


def mixup(images: tf.Tensor, labels: tf.Tensor, strength: float, seed: tf.Tensor):
    """Mixes each image of a batch with the one before it, with one weight for the whole batch.

    a ~ Beta(p, p), a = max(a, 1 - a), x ← a·x + (1 - a)·roll(x, 1), labels the same (paper,
    supplement B; big_vision utils.py `get_mixup`). The authors mix rescaled values; as
    rescaling is affine and the weights sum to 1, mixing pixel values is equivalent.

    Args:
        images: uint8 [N, S, S, 3].
        labels: float [N, num_classes].
        strength: p, more than 0.
        seed: int [2].

    Returns:
        float32 images [N, S, S, 3] with values 0 to 255, and labels [N, num_classes].
    """
    weight = _beta(strength, seed)
    weight = tf.maximum(weight, 1 - weight)
    images = tf.cast(images, tf.float32)

    def mix(x):
        return weight * x + (1 - weight) * tf.roll(x, 1, axis=0)

    return mix(images), mix(labels)


def _beta(strength: float, seed: tf.Tensor) -> tf.Tensor:
    """Draws from Beta(p, p) as X / (X + Y) of two Gamma(p) variables, by their logarithms.

    Gamma(p) is Gamma(p + 1) · U^(1/p) for a uniform U; for p of 0.03 or less, most values of X and
    Y themselves are too small for a float32.
    """
    gamma_seed, uniform_seed = tf.unstack(tf.random.split(seed))
    gammas = tf.random.stateless_gamma([2], gamma_seed, alpha=strength + 1)
    uniforms = 1 - tf.random.stateless_uniform([2], uniform_seed)  # in (0, 1]
    logs = tf.math.log(gammas) + tf.math.log(uniforms) / strength
    return tf.sigmoid(logs[0] - logs[1])
