# SPDX-License-Identifier: Apache-2.0
"""The default for your own images: photographs in a few classes, on a laptop.

    mixer train --source folder:/path/to/photos --recipe photos

Cost: 45 to 49 s for 72 photographs and all 60 epochs on 2 cores that did other work too. Result:
with 72 photographs of 2 classes (ImageNet's, as animals and things), top-1 0.583 to 0.611 on 36
others with the seeds 0 to 2, no better than always naming the larger class (0.611): that is too few
to learn from scratch; take `finetune_small`, which starts from published weights. With more
photographs unmeasured.
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
        summary="A small Mixer from scratch, in minutes on a laptop; it needs many photographs.",
        model=ModelOptions(
            name="mixer",
            image_size=64,
            patch_size=8,
            num_blocks=4,
            hidden_dim=128,
            tokens_mlp_dim=64,
            channels_mlp_dim=256,
            stochastic_depth=0.1,
        ),
        data=DataOptions(
            crop="resmall_crop", train_crop="inception", train_shorter_side=128, flip=True
        ),
        optimizer=OptimizerOptions(
            learning_rate=2e-3, schedule="cosine", warmup_steps=100, weight_decay=1e-4, ema=0.98
        ),
        training=TrainingOptions(epochs=60, batch_size=32),
    ),
)
