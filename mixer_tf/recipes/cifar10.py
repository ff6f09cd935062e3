# SPDX-License-Identifier: Apache-2.0
"""CIFAR-10 from scratch with a Mixer that a CPU can train.

    mixer train --source tfds:cifar10 --recipe cifar10

Cost: less than three minutes per epoch on 2 cores. Result: top-1 0.397 on the test split after one
epoch (`python -m pipeline.local_runner --source=folder:cifar10 --recipe=cifar10 --set
training.epochs=1`); unmeasured after all 20 epochs.
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
        summary="A small Mixer for images of 32x32 pixels, such as CIFAR-10, on a CPU.",
        model=ModelOptions(
            name="mixer",
            image_size=32,
            patch_size=4,
            num_blocks=4,
            hidden_dim=96,
            tokens_mlp_dim=64,
            channels_mlp_dim=384,
        ),
        data=DataOptions(crop="resize", train_crop="same", flip=True, shift=4),
        optimizer=OptimizerOptions(
            learning_rate=2e-3, schedule="cosine", warmup_steps=400, weight_decay=1e-4, ema=0.99
        ),
        training=TrainingOptions(epochs=20, batch_size=128),
    ),
)
