# SPDX-License-Identifier: Apache-2.0
"""The length of a training: its steps, and the epochs after which the model is evaluated."""

from __future__ import annotations

import dataclasses

from mixer_tf.recipes.schema import TrainingOptions


@dataclasses.dataclass(frozen=True)
class TrainingLength:
    """The length of a training.

    Attributes:
        epochs: number of epochs; after each, the model is evaluated.
        steps: number of steps of the whole training; at least one for each epoch.
        patience: it ends earlier after this many epochs without a better one; None to never do so.
    """

    epochs: int
    steps: int
    patience: int | None = None

    def end(self, epochs: int) -> int:
        """Returns the number of steps that are done after a number of epochs.

        Epochs have equal lengths, rounded to whole steps; the last one ends with the training.
        """
        return (2 * epochs * self.steps + self.epochs) // (2 * self.epochs)


def training_length(training: TrainingOptions, num_examples: int) -> TrainingLength:
    """Returns the length of a training on a number of examples.

    The total is rounded once, not each epoch (big_vision utils.py `steps`): 10 epochs of 767
    examples in batches of 512 are 15 steps. A recipe that gives the number of steps gets exactly
    these, in epochs that are about as long as a pass over the examples.
    """
    steps_per_pass = num_examples / training.batch_size
    if training.steps is None:
        steps, epochs = max(1, round(training.epochs * steps_per_pass)), training.epochs
    else:
        steps, epochs = training.steps, max(1, round(training.steps / steps_per_pass))
    return TrainingLength(min(epochs, steps), steps, training.patience)


def length_notes(training: TrainingOptions, num_examples: int) -> tuple[str, ...]:
    """Returns one line if there are fewer steps than the recipe has epochs."""
    steps = training_length(training, num_examples).steps
    if training.steps is not None or steps >= training.epochs:
        return ()
    return (
        f"training.epochs={training.epochs:,} of {num_examples:,} images are {steps:,} "
        f"{'step' if steps == 1 else 'steps'} of training.batch_size={training.batch_size:,}, and "
        "the model is evaluated after each. Use a smaller batch for more steps.",
    )
