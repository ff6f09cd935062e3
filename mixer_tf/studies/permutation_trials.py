# SPDX-License-Identifier: Apache-2.0
"""The trainings of a permutation study. No TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mixer_tf.recipes.schema import Recipe
from mixer_tf.studies.study_folder import Trial


def make_trials(
    recipes: Mapping[str, Recipe],
    orders: Sequence[str],
    sizes: Mapping[str, int],
    seed: int = 0,
    evaluations: int | None = None,
) -> list[Trial]:
    """Returns one training for each order and model.

    Args:
        recipes: name → recipe of each model.
        orders: names from `input_order.ORDERS`.
        sizes: name → side of the patches that are shuffled, in pixels.
        seed: random seed of the orders.
        evaluations: see `permutation.train`.
    """
    return [
        Trial(
            name,
            recipe,
            {"order": order},
            {"seed": seed, "patch_size": sizes[name], "evaluations": evaluations},
        )
        for order in orders
        for name, recipe in recipes.items()
    ]
