# SPDX-License-Identifier: Apache-2.0
"""Two small Mixers, a ViT and a BiT for CIFAR-10, which a CPU can train many times for a study.

    mixer study scaling --source tfds:cifar10 \\
      --models cifar10_mixer4,cifar10_mixer8,cifar10_vit8,cifar10_bit

The number in a name is the size of the patches. All four are trained alike. They have 5 to 8
million multiply-adds, an eighth to a fifth of those of the recipe `cifar10`.

Cost: about a minute for 300 steps on 2 cores. Result: top-1 on the test split after 300 steps is
0.328 (mixer4), 0.322 (mixer8), 0.325 (vit8) and 0.428 (bit), as docs/studies.md says; unmeasured
after all 20 epochs.
"""

from __future__ import annotations

from mixer_tf.recipes.schema import (
    DataOptions,
    ModelOptions,
    OptimizerOptions,
    Recipe,
    TrainingOptions,
)


def _recipe(name: str, what: str, model: str, **fields) -> Recipe:
    return Recipe(
        name=f"cifar10_{name}",
        summary=f"A small {what} for CIFAR-10, to compare with others in a study on a CPU.",
        model=ModelOptions(name=model, image_size=32, **fields),
        data=DataOptions(crop="resize", train_crop="same", flip=True, shift=4),
        optimizer=OptimizerOptions(
            learning_rate=2e-3, schedule="cosine", warmup_steps=100, weight_decay=1e-4, ema=0.99
        ),
        training=TrainingOptions(epochs=20, batch_size=128),
    )


RECIPES = (
    _recipe(
        *("mixer4", "Mixer", "mixer"),
        patch_size=4,
        num_blocks=4,
        hidden_dim=48,
        tokens_mlp_dim=32,
        channels_mlp_dim=192,
    ),
    _recipe(
        *("mixer8", "Mixer", "mixer"),
        patch_size=8,
        num_blocks=4,
        hidden_dim=96,
        tokens_mlp_dim=48,
        channels_mlp_dim=384,
    ),
    _recipe(
        *("vit8", "ViT", "vit"),
        patch_size=8,
        num_blocks=4,
        hidden_dim=96,
        channels_mlp_dim=384,
        num_heads=3,
    ),
    _recipe(*("bit", "BiT ResNet", "bit"), num_units=(1, 1, 1), width=32),
)
