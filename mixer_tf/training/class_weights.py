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


def example_weights(labels: tf.Tensor, weights: Sequence[float], sample_weight) -> tf.Tensor:
    """Returns the weight of each example in the loss.

    An image that is mixed of two classes has their mean, weighted as its labels are.

    Args:
        labels: float [N, num_classes].
        weights: one for each class.
        sample_weight: float [N], by which the result is multiplied; None for 1.

    Returns:
        float [N].
    """
    found = tf.linalg.matvec(labels, tf.constant(weights, labels.dtype))
    return found if sample_weight is None else found * tf.cast(sample_weight, found.dtype)
