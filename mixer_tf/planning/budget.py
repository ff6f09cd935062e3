# SPDX-License-Identifier: Apache-2.0
"""Which model, resolution and number of epochs fit in a given time. No TensorFlow."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Iterator

from mixer_tf.models import registry
from mixer_tf.planning.estimate import step_operations
from mixer_tf.recipes.schema import Recipe
from mixer_tf.training.length import training_length
from mixer_tf.training.plan import Plan

_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}
_FORM = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|d)")
_SCALES = (0.5, 0.75, 1, 1.5, 2, 3, 4)  # of the image size, or of the width
_MIN_EPOCHS = 1
_MIN_PART = 0.1  # of the recipe's epochs


@dataclasses.dataclass(frozen=True)
class Proposal:
    """A training that fits in the budget.

    Attributes:
        assignments: what differs from the recipe, as for `--set`; empty for the recipe itself.
        plan: the training.
        seconds: its duration.
        is_shorter: whether it has fewer epochs than the recipe.
    """

    assignments: tuple[str, ...]
    plan: Plan
    seconds: float
    is_shorter: bool


def parse(text: str) -> float:
    """Returns the seconds of a duration such as "90s", "45min", "2h" or "1.5d".

    Raises:
        ValueError: it is not a duration.
    """
    found = _FORM.fullmatch(text.strip().lower())
    if not found or not float(found[1]):
        raise ValueError(
            f"a budget must be a number with a unit ({', '.join(_UNITS)}), such as 2h or 45min; "
            f"got {text!r}."
        )
    return float(found[1]) * _UNITS[found[2]]


def propose(
    plan: Plan, budget: float, duration: Callable[[Plan], float], most: int = 5
) -> list[Proposal]:
    """Returns trainings that fit, the one with most computation for each image first.

    All models have the recipe's epochs, unless not even the cheapest of them fits; then they get
    fewer: a tenth of the recipe's at least, and if that does not fit either, those with most epochs
    come first. More computation is no promise of a better result: that is for the evaluation to
    say.

    Args:
        plan: the recipe on the images.
        budget: seconds.
        duration: returns the seconds of a training.
        most: the largest number of proposals.
    """
    candidates = [*_candidates(plan)]
    fitting = [
        Proposal(changes, other, seconds, is_shorter=False)
        for changes, other in candidates
        if (seconds := duration(other)) <= budget
    ]
    if fitting:
        return sorted(fitting, key=_computation, reverse=True)[:most]
    shorter = [p for c in candidates if (p := _shortened(*c, budget, duration)) is not None]
    least = plan.length.epochs * _MIN_PART
    enough = [proposal for proposal in shorter if proposal.plan.length.epochs >= least]
    if enough:
        return sorted(enough, key=_computation, reverse=True)[:most]
    return sorted(shorter, key=lambda proposal: proposal.plan.length.epochs, reverse=True)[:most]


def _computation(proposal: Proposal) -> float:
    plan = proposal.plan
    return step_operations(plan) / plan.recipe.training.batch_size


def _candidates(plan: Plan) -> Iterator[tuple[tuple[str, ...], Plan]]:
    """Yields the recipe with each model of its kind and each resolution, each cost once."""
    seen, options = set(), plan.recipe.model
    # Weights of a Mixer make a larger model of larger images, and fit no other sizes.
    keeps_size = options.weights and options.family is registry.MIXER
    for model in _models(plan.recipe):
        for scale in (1,) if keeps_size else _SCALES:
            size = round(options.image_size * scale)
            changes = (*model, *([f"model.image_size={size}"] if scale != 1 else []))
            other = _changed(plan, changes)
            if other and (cost := (other.parameters, step_operations(other))) not in seen:
                seen.add(cost)
                yield changes, other


def _models(recipe: Recipe) -> Iterator[tuple[str, ...]]:
    """Yields the changes of the model: other names of its family, or other widths."""
    yield ()
    if recipe.model.weights:
        return  # they are those of one model
    family, name, dimensions = registry.find(recipe.model.name)
    if dimensions:
        yield from ((f"model.name={other}",) for other in family.names if other != name)
        return
    values = recipe.model.to_dict()
    widths = ("hidden_dim", "tokens_mlp_dim", "channels_mlp_dim", "width")
    widths = [field for field in widths if values.get(field)]
    for scale in _SCALES:
        if scale != 1:
            yield tuple(f"model.{field}={round(values[field] * scale)}" for field in widths)


def _changed(plan: Plan, changes: tuple[str, ...]) -> Plan | None:
    """Returns the plan with changes of its recipe; None where there is no such model."""
    try:
        recipe = plan.recipe.override(changes)
        recipe.model.config(plan.num_classes)
    except (ValueError, TypeError):
        return None
    built = plan.built if recipe.model == plan.recipe.model else None
    return dataclasses.replace(plan, recipe=recipe, built=built)


def _shortened(
    changes: tuple[str, ...], plan: Plan, budget: float, duration: Callable[[Plan], float]
) -> Proposal | None:
    """Returns the training with as many epochs as fit; None where not even one does."""
    images, steps = plan.num_images, plan.length.steps
    uses_steps = plan.recipe.training.steps is not None
    epochs = plan.recipe.training.epochs
    if uses_steps:
        epochs = math.ceil(steps * plan.recipe.training.batch_size / images)
    while epochs > _MIN_EPOCHS:
        epochs = max(_MIN_EPOCHS, min(epochs - 1, math.floor(epochs * budget / duration(plan))))
        changed = plan.recipe.override([f"training.epochs={epochs}"])
        plan = dataclasses.replace(
            plan, recipe=changed, length=training_length(changed.training, images)
        )
        if (seconds := duration(plan)) <= budget:
            more = [f"training.epochs={epochs}"]
            return Proposal((*changes, *more), plan, seconds, is_shorter=True)
    return None
