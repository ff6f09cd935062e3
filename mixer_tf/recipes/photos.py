# SPDX-License-Identifier: Apache-2.0
"""A folder of one's own photographs: a small Mixer from scratch, sized for a laptop.

    mixer train --source folder:pets --recipe photos

A few hundred photographs train in minutes. For tens of thousands take a larger model, such as
`--set model.name=mixer_s16 --set model.image_size=224` with its dimensions set to none.

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
        name="photos",
        summary="A small Mixer for a folder of your own photographs, on a laptop.",
        model=ModelOptions(
            name="mixer",
            image_size=64,
            patch_size=8,
            num_blocks=6,
            hidden_dim=128,
            tokens_mlp_dim=64,
            channels_mlp_dim=512,
            dropout=0.1,
        ),
        data=DataOptions(crop="resmall_crop", train_crop="inception", flip=True),
        optimizer=OptimizerOptions(
            learning_rate=1e-3, schedule="cosine", warmup_steps=100, weight_decay=1e-4, ema=0.98
        ),
        training=TrainingOptions(epochs=60, batch_size=32),
    ),
)
