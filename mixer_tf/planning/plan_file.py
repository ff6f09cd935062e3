# SPDX-License-Identifier: Apache-2.0
"""A plan as a file, and the comparison of a finished training with it. No TensorFlow."""

from __future__ import annotations

import dataclasses
import json

from mixer_tf import storage
from mixer_tf.recipes.schema import Recipe
from mixer_tf.training.forecast import Forecast


@dataclasses.dataclass(frozen=True)
class PlannedTime(Forecast):
    """What was planned for this machine.

    Attributes:
        seconds, seconds_per_step: see `Forecast`.
        where: where the plan is from, such as the path of a file.
        images: number of training images; None for those of the training itself.
    """

    where: str
    images: int | None = None


def write(path: str, recipe: Recipe, images: int, seconds: float, seconds_per_step: float) -> None:
    """Writes what a training on this machine should take.

    Args:
        path: path of the file.
        recipe: the recipe.
        images: number of training images.
        seconds, seconds_per_step: see `PlannedTime`.
    """
    content = {
        "seconds": seconds,
        "seconds_per_step": seconds_per_step,
        "images": images,
        "recipe": json.loads(recipe.to_json()),
    }
    storage.write_text(path, json.dumps(content, indent=2) + "\n")


def read(path: str, recipe: Recipe) -> PlannedTime:
    """Reads a plan for a recipe.

    Raises:
        ValueError: the file is not a plan, or is one of another recipe.
    """
    if not storage.exists(path):
        raise ValueError(f"a plan must be a file that `mixer plan` wrote; there is no file {path}.")
    try:
        content = json.loads(storage.read_text(path))
        times = float(content["seconds"]), float(content["seconds_per_step"])
        images, planned = int(content["images"]), content["recipe"]
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"a plan must be a file that `mixer plan` wrote; got {path}.") from None
    if planned != json.loads(recipe.to_json()):
        raise ValueError(
            f"the plan must be for the recipe that is trained; {path} is for another one or with "
            "other values. Run `mixer plan` with the same options."
        )
    return PlannedTime(*times, path, images)


def note_on_images(planned: PlannedTime, images: int) -> str | None:
    """Returns a note on a plan for another number of training images; None if there is none."""
    if planned.images in (None, images):
        return None
    return (
        f"{planned.where} is for {planned.images:,} training images, unusable ones included; this "
        f"training has {images:,}"
    )


def compare(planned: PlannedTime, seconds: float, seconds_per_step: float | None) -> str:
    """Returns one line: planned against actual.

    Args:
        planned: the plan.
        seconds, seconds_per_step: what the training took.
    """
    difference = seconds / planned.seconds - 1
    word = "longer" if difference >= 0 else "shorter"
    step = "" if seconds_per_step is None else f", {1000 * seconds_per_step:,.1f} ms"
    return (
        f"planned {planned.seconds:,.0f} s, {1000 * planned.seconds_per_step:,.1f} ms per step "
        f"({planned.where}); actual {seconds:,.0f} s{step}: {abs(difference):.0%} {word}"
    )
