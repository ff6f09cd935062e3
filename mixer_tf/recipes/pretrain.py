# SPDX-License-Identifier: Apache-2.0
"""Pre-training of Mixers: every row of the paper's Table 4.

    mixer train --recipe pretrain_imagenet_b16 --strategy tpu \\
        --source tfds:imagenet2012 --splits 'eval=train[99%:],test=validation'
    mixer train --recipe pretrain_imagenet21k_l16 --source tfds:imagenet21k --strategy tpu
    mixer train --recipe pretrain_jft_s16 --source tfrecord:/data/train-* --strategy tpu

Cost: the paper's (Table 3), in TPUv3 core-days. ImageNet: B/16 10, L/16 40; ImageNet-21k: B/16 150,
L/16 410; JFT-300M: S/32 10, S/16 30, B/32 50, B/16 80, L/32 120, L/16 230 (7 epochs) and 450 (14),
H/14 1,010. Result: unmeasured here; the paper's are in `mixer info`.

JFT-300M is not public: the recipes `pretrain_jft_…` take any source. Their epochs are those for 300
million images; use more on a smaller dataset. On ImageNet, warmup, schedule, loss, head bias, crops
and the shuffle buffer are those of the authors' big_vision/configs/mlp_mixer_i1k.py.

`mixer sweep` knows the grids of supplement B: RandAugment, mixup, dropout, stochastic depth,
learning rate and weight decay.
"""

from __future__ import annotations

import itertools

from mixer_tf.recipes.schema import (
    DataOptions,
    ModelOptions,
    OptimizerOptions,
    Recipe,
    TrainingOptions,
)

# Initial bias of the head for the sigmoid loss, about log(1 / number of classes).
IMAGENET_HEAD_BIAS = -6.9
LARGE_HEAD_BIAS = -10.0  # 21,843 classes of ImageNet-21k, about 18,000 of JFT-300M

BATCH_SIZE = 4096
_RANDAUGMENT_LAYERS = 2

# Table 4: model, epochs, lr, wd, RandAugment's magnitude, mixup, dropout, stochastic depth.
_IMAGENET = (
    ("b16", 300, 1e-3, 0.1, 15, 0.5, 0.0, 0.1),
    ("l16", 300, 1e-3, 0.1, 15, 0.5, 0.0, 0.1),
)
_IMAGENET21K = (
    ("b16", 300, 1e-3, 0.1, 10, 0.2, 0.0, 0.1),
    ("l16", 300, 1e-3, 0.1, 20, 0.5, 0.0, 0.1),
)
# Table 4 by size, with the patch sizes of Table 3: name, model, epochs, lr, wd.
_JFT = (
    ("s32", "s32", 5, 3e-3, 0.03),
    ("s16", "s16", 5, 3e-3, 0.03),
    ("b32", "b32", 7, 3e-3, 0.03),
    ("b16", "b16", 7, 3e-3, 0.03),
    ("l32", "l32", 7, 1e-3, 0.03),
    ("l16_7_epochs", "l16", 7, 1e-3, 0.03),
    ("l16", "l16", 14, 1e-3, 0.03),
    ("h14", "h14", 14, 1e-3, 0.03),
)


def adam(learning_rate: float, decay: float) -> OptimizerOptions:
    """Returns the paper's optimizer (section 3).

    Args:
        learning_rate: lr of Table 4.
        decay: wd of Table 4, which the authors multiply by lr.
    """
    return OptimizerOptions(
        name="adam",
        learning_rate=learning_rate,
        weight_decay=decay * learning_rate,
        schedule="linear",
        warmup_steps=10_000,
        final_fraction=1e-5,
        clip_norm=1.0,
    )


def _augmented(
    dataset: str, title: str, head_bias: float, row: tuple[str, int, float, float, float, ...]
) -> Recipe:
    """A recipe with the "extra regularization" of the paper."""
    variant, epochs, learning_rate, decay, magnitude, mixup, dropout, stochastic_depth = row
    return Recipe(
        name=f"pretrain_{dataset}_{variant}",
        summary=f"The paper's pre-training of mixer_{variant} on {title} (Table 4).",
        model=ModelOptions(
            name=f"mixer_{variant}",
            image_size=224,
            head_bias_init=head_bias,
            dropout=dropout,
            stochastic_depth=stochastic_depth,
        ),
        data=DataOptions(
            crop="resmall_crop",
            train_crop="inception",
            flip=True,
            randaugment_layers=_RANDAUGMENT_LAYERS,
            randaugment_magnitude=magnitude,
            mixup=mixup,
        ),
        optimizer=adam(learning_rate, decay),
        training=TrainingOptions(epochs=epochs, batch_size=BATCH_SIZE, loss="sigmoid"),
    )


def jft(name: str, model: str, epochs: int, learning_rate: float, decay: float) -> Recipe:
    """Returns a recipe for JFT-300M or a dataset in its place: crop and flip alone.

    Args:
        name: name of the recipe after "pretrain_jft_".
        model: name of the model.
        epochs, learning_rate, decay: as in Table 4.
    """
    return Recipe(
        name=f"pretrain_jft_{name}",
        summary=f"The paper's pre-training of {model} on JFT-300M, {epochs} epochs; any source.",
        model=ModelOptions(name=model, image_size=224, head_bias_init=LARGE_HEAD_BIAS),
        data=DataOptions(crop="resmall_crop", train_crop="inception", flip=True),
        optimizer=adam(learning_rate, decay),
        training=TrainingOptions(epochs=epochs, batch_size=BATCH_SIZE, loss="sigmoid"),
    )


_AUGMENTED = (
    *(_augmented("imagenet", "ImageNet", IMAGENET_HEAD_BIAS, row) for row in _IMAGENET),
    *(_augmented("imagenet21k", "ImageNet-21k", LARGE_HEAD_BIAS, row) for row in _IMAGENET21K),
)
RECIPES = (
    *_AUGMENTED,
    *(jft(name, f"mixer_{variant}", *row) for name, variant, *row in _JFT),
)

# Supplement B. The paper prints dropping rates "of 0.0 and 1.0"; 0.1 is meant.
GRID = {
    "data.randaugment_magnitude": (0, 10, 15, 20),
    "data.mixup": (0.0, 0.2, 0.5, 0.8),
    "model.dropout": (0.0, 0.1),
    "model.stochastic_depth": (0.0, 0.1),
    ("optimizer.learning_rate", "optimizer.weight_decay"): tuple(
        (rate, rate * decay) for rate, decay in itertools.product((3e-3, 1e-3), (0.1, 0.01))
    ),
}
GRIDS = {recipe.name: GRID for recipe in _AUGMENTED}
