# SPDX-License-Identifier: Apache-2.0
"""Pre-training on JFT-300M as in the paper's Table 4: the rows without RandAugment.

    mixer train --recipe pretrain_b16 --source tfds:imagenet2012 --strategy tpu

Cost: the paper's own, on JFT-300M and TPUv3: S/16 0.03k, B/16 0.08k, L/16 0.45k, H/14 1.01k
core-days. Result: unmeasured here.

Deviation: JFT-300M is not public. The numbers of epochs are those of Table 4 for 300 million
images; use more on a smaller dataset. ImageNet takes 300 epochs and a head bias of -6.9
(`--set training.epochs=300 --set model.head_bias_init=-6.9`).
"""

from __future__ import annotations

from mixer_tf.recipes.schema import (
    DataOptions,
    ModelOptions,
    OptimizerOptions,
    Recipe,
    TrainingOptions,
)

# About log(1 / 18,000), for the 18,000 classes of JFT-300M; the authors' value for 21k classes.
HEAD_BIAS = -10.0

# Table 4: model, epochs, lr, wd. "7/14" epochs of L means 7 for L/32 and 14 for L/16.
_TABLE_4 = (
    ("s16", 5, 3e-3, 0.03),
    ("b16", 7, 3e-3, 0.03),
    ("l16", 14, 1e-3, 0.03),
    ("h14", 14, 1e-3, 0.03),
)


def _row(variant: str, epochs: int, learning_rate: float, decay: float) -> Recipe:
    return Recipe(
        name=f"pretrain_{variant}",
        summary=f"The paper's pre-training of mixer_{variant} on JFT-300M (Table 4).",
        model=ModelOptions(name=f"mixer_{variant}", image_size=224, head_bias_init=HEAD_BIAS),
        data=DataOptions(crop="resmall_crop", train_crop="inception", flip=True),
        optimizer=OptimizerOptions(
            name="adam",
            learning_rate=learning_rate,
            weight_decay=decay * learning_rate,
            schedule="linear",
            warmup_steps=10_000,
            final_fraction=1e-5,
            clip_norm=1.0,
        ),
        training=TrainingOptions(epochs=epochs, batch_size=4096, loss="sigmoid"),
    )


RECIPES = tuple(_row(*row) for row in _TABLE_4)
