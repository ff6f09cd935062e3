# SPDX-License-Identifier: Apache-2.0
"""The length of a training: its epochs, and the steps in each."""

from __future__ import annotations

import dataclasses

from mixer_tf.recipes.schema import TrainingOptions


@dataclasses.dataclass(frozen=True)
class TrainingLength:
    """The length of a training.

    Attributes:
        epochs: number of epochs; after each, the model is evaluated and saved.
        steps_per_epoch: number of steps in each epoch.
    """

    epochs: int
    steps_per_epoch: int

    @property
    def steps(self) -> int:
        """Number of steps of the whole training."""
        return self.epochs * self.steps_per_epoch


def training_length(training: TrainingOptions, num_examples: int) -> TrainingLength:
    """Returns the length of a training on a number of examples.

    A recipe that gives the number of steps gets exactly these: an epoch then has the divisor of
    that number which is nearest to the steps of one pass over the examples.

    Raises:
        ValueError: no divisor is near the steps of a pass.
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
