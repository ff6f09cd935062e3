# SPDX-License-Identifier: Apache-2.0
"""The changes that the paper tried and that `mixer study ablations` repeats. No TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence

from mixer_tf.recipes import ablations
from mixer_tf.recipes.schema import Recipe
from mixer_tf.studies.measurement import Measurement
from mixer_tf.studies.study_folder import Trial

UNCHANGED = "unchanged"
# Supplement A.2, for which the paper gives no numbers. It tried them in fine-tuning.
_OF_TRAINING = {
    "mixup": "data.mixup=0.5",
    "polyak": "optimizer.ema=0.999",
    "inception_crop": "data.train_crop=inception",
}
VARIANTS = {
    UNCHANGED: "the recipe as it is",
    **ablations.SUMMARIES,
    **{name: f"supplement A.2: {change}" for name, change in _OF_TRAINING.items()},
}
OF_TOKEN_MIXING = (UNCHANGED, *ablations.SUMMARIES)  # supplement A.1


def changed(recipe: Recipe, variant: str) -> Recipe:
    """Returns a recipe with one change.

    Args:
        recipe: a recipe of a Mixer without ablations.
        variant: one of VARIANTS.

    Raises:
        ValueError: the variant is unknown, is not possible for the model, or changes nothing.
    """
    if variant not in VARIANTS:
        raise ValueError(f"a variant must be one of {', '.join(VARIANTS)}; got {variant!r}.")
    if variant == UNCHANGED:
        return recipe
    if variant in ablations.SUMMARIES:
        return ablations.ablated(recipe, variant)
    result = recipe.override([_OF_TRAINING[variant]])
    if result == recipe:
        raise ValueError(
            f"a variant must change the recipe; {variant!r} does not, because the recipe has "
            f"{_OF_TRAINING[variant]} itself. Leave it out."
        )
    return result


def make_trials(
    recipe: Recipe,
    variants: Sequence[str] = OF_TOKEN_MIXING,
    seeds: Sequence[int] | None = None,
    measurement: Measurement | None = None,
) -> list[Trial]:
    """Returns one training for each seed and variant.

    Args:
        recipe: the recipe to change.
        variants: names from VARIANTS.
        seeds: random seeds of the training; None for that of the recipe.
        measurement: how the models are measured.

    Raises:
        ValueError, TypeError: a variant is given twice or not possible.
    """
    if len(set(variants)) < len(variants):
        raise ValueError(f"the variants must be different; got {', '.join(variants)}.")
    measured = (measurement or Measurement()).to_dict()
    seeds = [recipe.training.seed] if seeds is None else seeds
    found = {variant: changed(recipe, variant) for variant in variants}
    return [
        Trial(
            recipe.name,
            each.replace(training=each.training.replace(seed=seed)),
            {"variant": variant, "seed": seed},
            measured,
        )
        for seed in seeds
        for variant, each in found.items()
    ]
