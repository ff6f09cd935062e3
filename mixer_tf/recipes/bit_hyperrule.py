# SPDX-License-Identifier: Apache-2.0
"""BiT-HyperRule: fine-tuning without a search, by the size of the data set and of its images alone.

    mixer train --recipe bit_hyperrule_small --source folder:pets
    mixer train --recipe bit_hyperrule_medium --source tfds:cifar10 --set model.image_size=448

Source: Kolesnikov et al., Big Transfer, arXiv:1912.11370, section 3.3, and the authors'
big_transfer/bit_hyperrule.py. The functions are the rule; the recipes are the rule for data sets of
fewer than 20,000 images, fewer than 500,000, and more. `mixer vtab --protocol=bit-hyperrule` uses
it, too.

Cost, calculated as 6 × multiply-adds × images for B/16 at 224 px: small 1.9e16 floating-point
operations, medium 3.9e17, large 7.7e17. Result: unmeasured.

Deviation: the rule trains at 128 or 480 pixels, which is `resolution`; the paper fine-tunes a Mixer
at 224 or 448, and so do the recipes.
"""

from __future__ import annotations

from mixer_tf.recipes.schema import (
    DataOptions,
    ModelOptions,
    OptimizerOptions,
    Recipe,
    TrainingOptions,
)

LEARNING_RATE = 0.003
BATCH_SIZE = 512
SMALL, MEDIUM = 20_000, 500_000  # numbers of training images from which on the rule changes
_SMALL_AREA = 96 * 96


def resolution(height: int, width: int) -> tuple[int, int]:
    """Returns the sides in pixels to resize images to, and of the random crop of these.

    Args:
        height, width: the size of the images of a data set in pixels.
    """
    return (160, 128) if height * width < _SMALL_AREA else (512, 480)


def boundaries(num_images: int) -> tuple[int, ...]:
    """Returns the steps at which the warmup ends, the rate is divided by 10, and the training ends.

    Args:
        num_images: number of training images.
    """
    if num_images < SMALL:
        return (100, 200, 300, 400, 500)
    if num_images < MEDIUM:
        return (500, 3_000, 6_000, 9_000, 10_000)
    return (500, 6_000, 12_000, 18_000, 20_000)


def mixup(num_images: int) -> float:
    """Returns p of Beta(p, p); 0 for none."""
    return 0.0 if num_images < SMALL else 0.1


def learning_rate(step: int, num_images: int, peak: float = LEARNING_RATE) -> float | None:
    """Returns the learning rate of a step; None from the end of the training on.

    As in the authors' code, the rate is divided after a boundary, not at it.
    """
    warmup, *decays, end = boundaries(num_images)
    if step >= end:
        return None
    if step < warmup:
        return peak * step / warmup
    return peak / 10 ** sum(boundary < step for boundary in decays)


def make_recipe(
    name: str, summary: str, model: ModelOptions, num_images: int, data: DataOptions | None = None
) -> Recipe:
    """Returns the recipe of the rule for a number of training images.

    Args:
        name, summary, model: fields of the recipe.
        num_images: number of training images.
        data: crops and flip; None for those of photographs. The rule sets mixup.
    """
    warmup, *decays, end = boundaries(num_images)
    data = data or DataOptions(crop="resize_crop", train_crop="resize_random", flip=True)
    return Recipe(
        name=name,
        summary=summary,
        model=model,
        data=data.replace(mixup=mixup(num_images), shuffle_buffer=50_000),
        optimizer=OptimizerOptions(
            name="momentum",
            learning_rate=LEARNING_RATE,
            schedule="step",
            warmup_steps=warmup,
            decay_steps=tuple(decays),
            weight_decay=0.0,
            clip_norm=None,
        ),
        training=TrainingOptions(steps=end, batch_size=BATCH_SIZE, loss="softmax"),
    )


def _recipe(size: str, words: str, num_images: int) -> Recipe:
    model = ModelOptions(name="mixer_b16", image_size=224, weights="imagenet21k")
    summary = f"BiT-HyperRule for {words} images: mixer_b16 from ImageNet-21k."
    return make_recipe(f"bit_hyperrule_{size}", summary, model, num_images)


RECIPES = (
    _recipe("small", "fewer than 20,000", SMALL - 1),
    _recipe("medium", "20,000 to 499,999", MEDIUM - 1),
    _recipe("large", "500,000 and more", MEDIUM),
)
