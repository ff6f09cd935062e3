# SPDX-License-Identifier: Apache-2.0
"""The paper's fine-tuning (section 3, supplement B): SGD with momentum from published weights.

    mixer train --recipe finetune_pets --source tfds:oxford_iiit_pet
    mixer train --recipe finetune_pets --source folder:/path/to/photos --set model.image_size=448

Cost: unmeasured. Result: unmeasured here; the paper's is in `mixer info mixer_b16`.

The numbers of training and warmup steps are from google-research/vision_transformer,
vit_jax/configs. The paper searches the learning rates 0.003, 0.01, 0.03 and 0.06; the default here
is 0.01.

Deviation: the paper does not say how training images are cropped. Here the crop is "inception", as
in the authors' vit_jax/input_pipeline.py.
"""

from __future__ import annotations

from mixer_tf.recipes.schema import (
    DataOptions,
    ModelOptions,
    OptimizerOptions,
    Recipe,
    TrainingOptions,
)


def _recipe(name: str, datasets: str, steps: int, warmup_steps: int) -> Recipe:
    return Recipe(
        name=f"finetune_{name}",
        summary=f"The paper's fine-tuning for {datasets}: mixer_b16 from ImageNet-21k.",
        model=ModelOptions(name="mixer_b16", image_size=224, weights="imagenet21k"),
        data=DataOptions(
            crop="resmall_crop", train_crop="inception", flip=True, shuffle_buffer=50_000
        ),
        optimizer=OptimizerOptions(
            name="momentum",
            learning_rate=0.01,
            schedule="cosine",
            warmup_steps=warmup_steps,
            weight_decay=0.0,
            clip_norm=1.0,
        ),
        training=TrainingOptions(steps=steps, batch_size=512, loss="softmax"),
    )


RECIPES = (
    _recipe("pets", "Pets, Flowers and other small datasets", steps=500, warmup_steps=100),
    _recipe("cifar", "CIFAR-10 and CIFAR-100", steps=10_000, warmup_steps=500),
    _recipe("imagenet", "ImageNet", steps=20_000, warmup_steps=500),
)
