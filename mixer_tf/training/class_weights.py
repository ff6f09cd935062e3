# SPDX-License-Identifier: Apache-2.0
"""Weights of the classes in the loss, so that rare classes count as much as frequent ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf


def class_weights(kind: str | None, class_counts: Sequence[int] | None) -> tuple[float, ...] | None:
    """Returns one weight for each class; None for equal weights.

    "balanced" is scikit-learn's `compute_class_weight`: n / (k·nᵢ) for a class with nᵢ of the n
    training images, where k classes have images. A class without images has the weight 0. The mean
    over all images is 1, so that the learning rate keeps its meaning.

    Args:
        kind: "balanced" or None.
        class_counts: number of training images of each class, in label order; None if unknown.

    Raises:
        ValueError: the counts are needed and not known.
    """
    if kind is None:
        return None
    if class_counts is None or not sum(class_counts):
        raise ValueError(
            f"training.class_weights={kind} requires the number of training images of each class; "
            f"got {class_counts}. Give the Split its class_counts, or use none."
        )
    counts = np.asarray(class_counts, np.float64)
    present = counts > 0
    weights = np.zeros_like(counts)
    weights[present] = counts.sum() / (present.sum() * counts[present])
    return tuple(weights.tolist())


def weighted_labels(
    labels: tf.Tensor, weights: Sequence[float], sample_weight: tf.Tensor | None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns labels and weights of examples, for the loss alone.

    The part of the loss that belongs to a class is multiplied by the weight of this class: the loss
    of an image that is mixed of two classes is Σ w·y·l, with the weights w, the labels y and the
    losses l of the classes. The labels become w·y / Σ w·y, and the weight of the image Σ w·y. An
    image of one class keeps its label.

    Args:
        labels: float [N, num_classes].
        weights: one for each class.
        sample_weight: float [N], by which the weights are multiplied; None for 1.

    Returns:
        Labels float [N, num_classes], and weights float [N].
    """
    factors = tf.constant(weights, labels.dtype)
    totals = tf.linalg.matvec(labels, factors)
    shares = tf.math.divide_no_nan(labels * factors, totals[:, tf.newaxis])
    if sample_weight is None:
        return shares, totals
    return shares, totals * tf.cast(sample_weight, totals.dtype)
