# SPDX-License-Identifier: Apache-2.0
"""CutMix: a rectangle of each image of a batch is that of another image (not in the paper).

Source: Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable
Features" (2019), section 3.
"""

from __future__ import annotations

import tensorflow as tf


def cutmix(images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor):
    """Replaces a rectangle of each image by that of the one before it, at the same position.

    There is one rectangle for the whole batch. With a ~ U(0, 1), its sides are √(1 - a) of those of
    the image, and its center is anywhere, so that a part of it may be outside. The labels are
    weighted by the share of the area.

    Args:
        images: uint8 or float32 [N, S, S, 3].
        labels: float [N, num_classes].
        seed: int [2].

    Returns:
        float32 images [N, S, S, 3] with the same values, and labels [N, num_classes].
    """
    share_seed, center_seed = tf.unstack(tf.random.split(seed))
    size = tf.shape(images)[1]
    side = tf.cast(size, tf.float32)
    half = side * tf.sqrt(1 - tf.random.stateless_uniform([], share_seed)) / 2
    center = side * tf.random.stateless_uniform([2], center_seed)
    first, last = (
        tf.cast(tf.clip_by_value(tf.round(edge), 0, side), tf.int32)
        for edge in (center - half, center + half)
    )
    pixel = tf.range(size)
    inside = [(pixel >= first[axis]) & (pixel < last[axis]) for axis in (0, 1)]
    rectangle = inside[0][:, None] & inside[1][None]
    weight = tf.reduce_mean(tf.cast(rectangle, tf.float32))
    images = tf.cast(images, tf.float32)
    images = tf.where(rectangle[..., None], tf.roll(images, 1, axis=0), images)
    return images, (1 - weight) * labels + weight * tf.roll(labels, 1, axis=0)
