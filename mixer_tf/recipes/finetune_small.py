# SPDX-License-Identifier: Apache-2.0
"""Fine-tuning of a few hundred or thousand images on one machine, also without a GPU.

    mixer train --recipe finetune_small --source folder:pets
    mixer train --recipe finetune_small --source folder:pets \\
        --set training.freeze=none --set optimizer.learning_rate=0.001
    mixer train --recipe finetune_small --source folder:pets \\
        --set training.freeze=none --set optimizer.layer_rates=stem=0.05,MixerBlock_*=0.05

The blocks of mixer_b16 from ImageNet-21k are frozen: only the last LayerNorm and the head are
trained, which takes a third of the operations. The second command trains all weights, slowly; the
third one only the stem and the blocks slowly, at a twentieth of the learning rate of the head.

Cost, calculated as 2 × multiply-adds × images for frozen blocks: 2.5e14 floating-point operations
for 1,000 images and all 10 epochs. Result: unmeasured.

Deviation: the paper trains all weights, in batches of 512.
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
        name="finetune_small",
        summary="Fine-tuning of mixer_b16 for a few hundred photographs, with frozen blocks.",
        model=ModelOptions(name="mixer_b16", image_size=224, weights="imagenet21k"),
        data=DataOptions(crop="resmall_crop", train_crop="resize_random", flip=True),
        optimizer=OptimizerOptions(
            name="momentum",
            learning_rate=0.03,
            schedule="cosine",
            warmup_steps=50,
            weight_decay=0.0,
            clip_norm=1.0,
        ),
        training=TrainingOptions(
            epochs=10, batch_size=32, loss="softmax", freeze="stem,MixerBlock_*", patience=3
        ),
    ),
)
