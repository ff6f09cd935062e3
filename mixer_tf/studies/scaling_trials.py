# SPDX-License-Identifier: Apache-2.0
"""The trainings of a study of data scaling. No TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mixer_tf.recipes.schema import Recipe
from mixer_tf.studies.measurement import Measurement
from mixer_tf.studies.study_folder import Trial


def make_trials(
    recipes: Mapping[str, Recipe],
    shares: Sequence[float],
    subset_seed: int = 0,
    measurement: Measurement | None = None,
) -> list[Trial]:
    """Returns one training for each model and part of the images, the smallest parts first.

    Args:
        recipes: name → recipe of each model.
        shares: parts of the training images.
        subset_seed: another one gives other subsets.
        measurement: how they are measured.

    Raises:
        ValueError: a share is not in (0, 1], or is given twice.
    """
    if not shares or not all(0 < share <= 1 for share in shares):
        given = ", ".join(f"{100 * share:g} %" for share in shares) or "none"
        raise ValueError(f"the shares must be more than 0 and at most 100 %; got {given}.")
    if len(set(shares)) < len(shares):
        raise ValueError("the shares must be different; got one of them twice.")
    measured = (measurement or Measurement()).to_dict()
    return [
        Trial(name, recipe, {"share": share, "subset_seed": subset_seed}, measured)
        for share in sorted(shares)
        for name, recipe in recipes.items()
    ]
