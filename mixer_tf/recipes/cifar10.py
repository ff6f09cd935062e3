# SPDX-License-Identifier: Apache-2.0
"""CIFAR-10, or any tens of thousands of images of about 32x32 pixels: a small Mixer from scratch.

    mixer train --source tfds:cifar10 --recipe cifar10

Cost: unmeasured. Result: unmeasured.
"""

from __future__ import annotations

from mixer_tf.recipes.schema import (
    DataOptions,
    ModelOptions,
    OptimizerOptions,
    Recipe,
    TrainingOptions,
)

RECIPES = (
    Recipe(
        name="cifar10",
        summary="A small Mixer for CIFAR-10, or other images of about 32x32 pixels.",
        model=ModelOptions(
            name="mixer",
            image_size=32,
            patch_size=4,
            num_blocks=6,
            hidden_dim=128,
            tokens_mlp_dim=64,
            channels_mlp_dim=512,
        ),
        data=DataOptions(crop="resize", train_crop="same", flip=True, shift=4),
        optimizer=OptimizerOptions(
            learning_rate=1e-3, schedule="cosine", warmup_steps=500, weight_decay=1e-4, ema=0.99
        ),
        training=TrainingOptions(epochs=30, batch_size=128),
    ),
)
