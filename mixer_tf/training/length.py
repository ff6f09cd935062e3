# SPDX-License-Identifier: Apache-2.0
"""How long a training is: its epochs, and the updates in each."""

from __future__ import annotations

import dataclasses

from mixer_tf.recipes.schema import TrainingOptions


@dataclasses.dataclass(frozen=True)
class TrainingLength:
    """The length of a training.

    Attributes:
        epochs: parts of equal length; after each, the model is evaluated and saved.
        steps_per_epoch: updates in each.
    """

    epochs: int
    steps_per_epoch: int

    @property
    def steps(self) -> int:
        """All updates."""
        return self.epochs * self.steps_per_epoch


def training_length(training: TrainingOptions, num_examples: int) -> TrainingLength:
    """Returns how long a recipe trains on so many examples.

    Where the recipe counts in steps it gets exactly those: an epoch is then the divisor of them
    that is nearest to a pass over the examples.

    Raises:
        ValueError: no divisor is anywhere near a pass.
    """
    steps_per_pass = max(1, round(num_examples / training.batch_size))
    if training.steps is None:
        return TrainingLength(training.epochs, steps_per_pass)
    divisors = [n for n in range(1, training.steps + 1) if training.steps % n == 0]
    steps_per_epoch = min(divisors, key=lambda n: abs(n - steps_per_pass))
    if steps_per_epoch < steps_per_pass / 4 and training.steps > steps_per_pass:
        near = max(1, round(training.steps / steps_per_pass)) * steps_per_pass
        raise ValueError(
            "training.steps must be divisible by about the steps of one pass over the images, "
            f"{steps_per_pass}; got {training.steps}. Use {near}."
        )
    return TrainingLength(training.steps // steps_per_epoch, steps_per_epoch)
