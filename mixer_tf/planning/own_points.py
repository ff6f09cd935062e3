# SPDX-License-Identifier: Apache-2.0
"""A user's trainings as points beside those of the paper."""

from __future__ import annotations

import os
from collections.abc import Sequence

from mixer_tf.planning import estimate, run_costs
from mixer_tf.planning.run_costs import RunCost
from mixer_tf.studies.pareto import OWN, Point
from mixer_tf.training.length import training_length
from mixer_tf.training.plan import Plan


def read(folders: Sequence[str]) -> list[RunCost]:
    """Reads the folders of `mixer train`.

    Raises:
        ValueError: one of them is not such a folder, has no accuracy, or is given twice.
    """
    found = []
    for folder in folders:
        run = run_costs.read(folder)
        if run.accuracy is None:
            raise ValueError(
                f"a run must have a top-1 on an evaluation split in its logs; {folder} has none."
            )
        if os.path.realpath(folder) in [os.path.realpath(other.folder) for other in found]:
            raise ValueError(f"every run must be given once; got {folder} twice.")
        found.append(run)
    return found


def to_point(run: RunCost) -> Point:
    """Returns a run with the core-days of its logs, and the throughput that a TPU v3 would have."""
    return Point(
        title=os.path.basename(os.path.normpath(run.folder)),
        group=OWN,
        accuracy=100 * run.accuracy,
        core_days=run.core_days,
        images_per_second=estimate.paper_throughput(run.recipe.model.config(run.num_classes)),
        pretraining="its own data",
        image_size=run.recipe.model.image_size,
    )


def paper_core_days(run: RunCost) -> float:
    """Returns the core-days that the operations of a run would take on a TPU v3."""
    length = training_length(run.recipe.training, run.images)
    plan = Plan(run.recipe, length, run.images, run.eval_images, run.num_classes)
    return estimate.paper_core_days(plan)
