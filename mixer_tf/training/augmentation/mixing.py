# SPDX-License-Identifier: Apache-2.0
"""What mixes the images of a batch: mixup, CutMix, or either of them."""

from __future__ import annotations

import tensorflow as tf

from mixer_tf.recipes.schema import DataOptions
from mixer_tf.training.augmentation.cutmix import cutmix
from mixer_tf.training.augmentation.mixup import mixup


def mix(images: tf.Tensor, labels: tf.Tensor, data: DataOptions, seed: tf.Tensor):
    """Applies CutMix to its share of the batches, and mixup to the others, if the recipe has it.

    Args:
        images: uint8 [N, S, S, 3].
        labels: float [N, num_classes].
        data: the data options of a recipe.
        seed: int [2]; another one for each step.

    Returns:
        float32 images [N, S, S, 3] with values 0 to 255, and labels [N, num_classes].
    """
    if not data.cutmix:
        return mixup(images, labels, data.mixup, seed)
    choice_seed, cutmix_seed, mixup_seed = tf.unstack(tf.random.split(seed, 3))

    def other():
        if data.mixup:
            return mixup(images, labels, data.mixup, mixup_seed)
        return tf.cast(images, tf.float32), labels

    is_cut = tf.random.stateless_uniform([], choice_seed) < data.cutmix
    return tf.cond(is_cut, lambda: cutmix(images, labels, cutmix_seed), other)
