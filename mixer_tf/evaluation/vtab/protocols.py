# SPDX-License-Identifier: Apache-2.0
"""How a VTAB task is fine-tuned: the hyperparameters to choose from, and the recipe of each choice.

Source: supplement B of the paper for the learning rates; Dosovitskiy et al., arXiv:2010.11929,
Table 4, whose setup it follows, for 2,500 steps in batches of 512. BiT-HyperRule chooses nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from mixer_tf.evaluation.vtab.tasks import NUM_TRAIN, NUM_VAL, VtabTask
from mixer_tf.recipes import bit_hyperrule
from mixer_tf.recipes.schema import (
    DataOptions,
    ModelOptions,
    OptimizerOptions,
    Recipe,
    TrainingOptions,
)

PAPER, BIT_HYPERRULE = "paper", "bit-hyperrule"
PROTOCOLS = (PAPER, BIT_HYPERRULE)
LEARNING_RATES = (0.003, 0.01, 0.03)
STEPS = (2_500,)  # from memory; not checked against the table
SEEDS = (0, 1, 2)  # the paper averages three runs
_WARMUP_STEPS = 500
_BATCH_SIZE = 512
_CHOSEN = ("optimizer.learning_rate", "training.steps", "training.epochs", "training.seed")
# Fine-tuning has none of these regularizers of the pre-training.
_REGULARIZERS = ("dropout", "stochastic_depth")


@dataclasses.dataclass(frozen=True)
class Point:
    """One choice of hyperparameters."""

    learning_rate: float
    steps: int

    @property
    def name(self) -> str:
        return f"learning_rate={self.learning_rate:g},steps={self.steps}"


@dataclasses.dataclass(frozen=True)
class VtabSettings:
    """What the trainings of a run share.

    Attributes:
        model: the model with the weights to start from.
        protocol: one of `PROTOCOLS`.
        learning_rates, steps: the grid of the protocol "paper".
        seeds: seeds of the final trainings, whose accuracies are averaged; the first one is also
            used for the selection.
        overrides: assignments for every recipe, such as "training.batch_size=64".

    Raises:
        ValueError: the protocol is unknown, or an override is not possible.
    """

    model: ModelOptions
    protocol: str = PAPER
    learning_rates: tuple[float, ...] = LEARNING_RATES
    steps: tuple[int, ...] = STEPS
    seeds: tuple[int, ...] = SEEDS
    overrides: tuple[str, ...] = ()

    def __post_init__(self):
        if self.protocol not in PROTOCOLS:
            raise ValueError(
                f"protocol must be one of {', '.join(PROTOCOLS)}; got {self.protocol!r}."
            )
        for assignment in self.overrides:
            field = assignment.partition("=")[0].strip()
            if field in _CHOSEN or field.startswith("model."):
                raise ValueError(
                    f"{field} must not be set: the grid, the seeds and MODEL decide it; got "
                    f"{assignment!r}."
                )

    def points(self) -> list[Point]:
        """Returns the grid; a single point needs no selection."""
        if self.protocol == BIT_HYPERRULE:
            end = bit_hyperrule.boundaries(NUM_TRAIN + NUM_VAL)[-1]
            return [Point(bit_hyperrule.LEARNING_RATE, end)]
        return [Point(rate, steps) for rate in self.learning_rates for steps in self.steps]

    def recipe(self, task: VtabTask, point: Point, seed: int) -> Recipe:
        """Returns the recipe of one training.

        Raises:
            ValueError: an override is not possible.
        """
        if self.protocol == BIT_HYPERRULE:
            recipe = _hyperrule_recipe(task, self.model)
        else:
            recipe = _paper_recipe(task, self.model, point)
        training = recipe.training.replace(seed=seed)
        return recipe.replace(training=training).override(self.overrides)

    def to_dict(self) -> dict[str, object]:
        """Returns everything as JSON takes it."""
        points = [dataclasses.asdict(point) for point in self.points()]
        return {
            "protocol": self.protocol,
            "grid": points,
            "seeds": list(self.seeds),
            "overrides": list(self.overrides),
            "model": self.model.to_dict(),
        }


def fine_tuned(model: ModelOptions, weights: str) -> ModelOptions:
    """Returns the options of a model that starts from weights, without regularization."""
    off = {name: 0.0 for name in _REGULARIZERS if model.fields.get(name)}
    return model.replace(weights=weights, keep_head=False, **off)


def data_options(task: VtabTask) -> DataOptions:
    """Returns the crops and the flip that keep the labels of a task.

    Photographs are resized and cropped, at random in training; where a crop would change the label,
    the whole image is resized.
    """
    crops = ("resize_crop", "resize_random") if task.crops else ("resize", "same")
    return DataOptions(crop=crops[0], train_crop=crops[1], flip=task.flips, shuffle_buffer=50_000)


def _paper_recipe(task: VtabTask, model: ModelOptions, point: Point) -> Recipe:
    return Recipe(
        name=f"vtab_{task.name}",
        summary=f"The paper's fine-tuning for {task.name} of VTAB-1k.",
        model=model,
        data=data_options(task),
        optimizer=OptimizerOptions(
            name="momentum",
            learning_rate=point.learning_rate,
            schedule="cosine",
            warmup_steps=_WARMUP_STEPS,
            weight_decay=0.0,
            clip_norm=1.0,
        ),
        training=TrainingOptions(steps=point.steps, batch_size=_BATCH_SIZE, loss="softmax"),
    )


def _hyperrule_recipe(task: VtabTask, model: ModelOptions) -> Recipe:
    summary = f"BiT-HyperRule for {task.name} of VTAB-1k."
    num_images = NUM_TRAIN + NUM_VAL
    data = data_options(task)
    return bit_hyperrule.make_recipe(f"vtab_{task.name}", summary, model, num_images, data)


def best_point(points: Sequence[Point], accuracies: Sequence[float | None]) -> Point:
    """Returns the point with the highest accuracy; of equal ones, the first.

    Args:
        points: the grid.
        accuracies: top-1 on the validation images; None where the training diverged.

    Raises:
        ValueError: all trainings diverged.
    """
    found = [(-accuracy, n) for n, accuracy in enumerate(accuracies) if accuracy is not None]
    if not found:
        raise ValueError(
            "at least one learning rate must not diverge; all did. Give lower ones with "
            "--learning-rates."
        )
    return points[min(found)[1]]
