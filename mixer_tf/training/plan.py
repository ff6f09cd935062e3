# SPDX-License-Identifier: Apache-2.0
"""What a training is going to do, in a few lines that are shown before it starts. No TensorFlow."""

from __future__ import annotations

import dataclasses

from mixer_tf.models import costs
from mixer_tf.recipes.schema import Recipe
from mixer_tf.training.length import TrainingLength

_FLOAT_BYTES = 4
# The backward pass has two products for each one of the forward pass: one for the gradient of the
# inputs, one for that of the weights.
_PASSES = 3
_MOMENTS = {"adam": 2, "momentum": 1}  # values that an optimizer keeps for each weight
_UNITS = ("", " k", " M", " G", " T", " P", " E")


@dataclasses.dataclass(frozen=True)
class Plan:
    """The size of a training, by calculation; frozen layers count as trained ones.

    Attributes:
        recipe: the recipe.
        length: its length on the images.
        num_images, num_eval_images, num_classes: of the splits; no evaluation images without one.
        num_devices: the number of devices that share each batch.
        device: what a device is, such as "CPU" or "GPU".
        strategy: the name of the tf.distribute strategy.
        built: the configuration of the model where it exists already: weights that were upscaled
            for larger images have a larger one than the recipe; None for that of the recipe.
    """

    recipe: Recipe
    length: TrainingLength
    num_images: int
    num_eval_images: int
    num_classes: int
    num_devices: int = 1
    device: str = "CPU"
    strategy: str = "default"
    built: object | None = None

    @property
    def parameters(self) -> int:
        """Number of parameters of the model."""
        return costs.count_parameters(self.config)

    @property
    def multiply_adds_per_step(self) -> int:
        """Multiply-adds of the forward and backward pass of one batch on all devices together."""
        training = self.recipe.training
        per_image = _PASSES * costs.count_multiply_adds(self.config)
        if training.recompute:
            per_image += costs.count_block_multiply_adds(self.config)
        return training.batch_size * per_image

    @property
    def weight_bytes(self) -> int:
        """Memory of the weights and their gradients on each device."""
        return 2 * costs.weight_bytes(self.config)

    @property
    def optimizer_bytes(self) -> int:
        """Memory of the optimizer's moments and of the average of the weights on each device."""
        options = self.recipe.optimizer
        values = _MOMENTS[options.name] + bool(options.ema)
        halves = options.momentum_dtype == "bfloat16"  # the first moment, in half of the bytes
        return (2 * values - halves) * costs.weight_bytes(self.config) // 2

    @property
    def activation_bytes(self) -> int:
        """Estimated memory of the activations of what a device computes at a time."""
        training = self.recipe.training
        images = training.batch_size // self.num_devices // training.accumulation_steps
        return images * costs.training_activation_bytes(
            self.config, training.precision, training.recompute
        )

    @property
    def config(self):
        """The configuration of the model."""
        return self.built or self.recipe.model.config(self.num_classes)

    def lines(self) -> list[str]:
        """The plan for people, one subject per line."""
        training, length = self.recipe.training, self.length
        memory = self.weight_bytes + self.optimizer_bytes + self.activation_bytes
        size = self.recipe.model.image_size
        devices = f"{self.num_devices} {self.device}{'s' if self.num_devices > 1 else ''}"
        frozen = "; as if nothing were frozen" if training.freeze else ""
        evaluation = f", {self.num_eval_images:,} to evaluate" if self.num_eval_images else ""
        rows = [
            (
                "network",
                f"{self.recipe.model.name}, {self.parameters:,} parameters, {size}x{size} pixels",
            ),
            (
                "length",
                f"{_count(length.epochs, 'epoch')}, {_count(length.steps, 'step')}; batches of "
                f"{training.batch_size:,} from {self.num_images:,} images{evaluation}",
            ),
            (
                "cost",
                f"{_with_unit(self.multiply_adds_per_step)} multiply-adds per step, "
                f"{_with_unit(self.multiply_adds_per_step * length.steps)} in all{frozen}",
            ),
            (
                "memory",
                f"about {_bytes(memory)} per device: weights and gradients "
                f"{_bytes(self.weight_bytes)}, optimizer {_bytes(self.optimizer_bytes)}, "
                f"activations {_bytes(self.activation_bytes)}",
            ),
            ("devices", f"{devices}, strategy {self.strategy}, {training.precision}"),
        ]
        return [f"{name:<8} {text}" for name, text in rows]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _with_unit(number: float) -> str:
    """3,240,000,000 -> "3.2 G"."""
    for unit in _UNITS:
        if number < 1000 or unit == _UNITS[-1]:
            return f"{number:.3g}{unit}"
        number /= 1000


def _bytes(number: float) -> str:
    return f"{_with_unit(number)}{'B' if number >= 1000 else ' B'}"
