# SPDX-License-Identifier: Apache-2.0
"""When a training saves checkpoints, and how many it keeps. Imports no TensorFlow."""

from __future__ import annotations

import dataclasses
import os

# Where a training gets its arguments from an orchestrator, whose cache knows them all, the minutes
# come from the environment: another number must not repeat a training that is complete.
MINUTES_VARIABLE = "MIXER_TF_CHECKPOINT_MINUTES"


@dataclasses.dataclass(frozen=True)
class CheckpointOptions:
    """When a training saves, beyond the end of an epoch; it changes nothing of the result.

    Attributes:
        minutes: save after the first step that ends this many minutes after the last save.
        steps: save after this many steps as well; None for no limit of steps.
        keep: number of last checkpoints to keep; the best weights are kept beside them.

    Raises:
        ValueError: a value is out of range.
    """

    minutes: float = 5.0
    steps: int | None = None
    keep: int = 2

    @classmethod
    def from_environment(cls, **fields) -> CheckpointOptions:
        """Returns the options, with the minutes of `MINUTES_VARIABLE` unless they are given.

        Raises:
            ValueError: a value is out of range, or that of the variable is not a number.
        """
        text = os.environ.get(MINUTES_VARIABLE)
        if text is None or "minutes" in fields:
            return cls(**fields)
        try:
            minutes = float(text)
        except ValueError:
            raise ValueError(
                f"the environment variable {MINUTES_VARIABLE} must be a number of minutes; got "
                f"{text!r}."
            ) from None
        return cls(minutes=minutes, **fields)

    def __post_init__(self):
        if not self.minutes > 0:
            raise ValueError(
                f"the minutes between checkpoints must be more than 0; got {self.minutes}."
            )
        for name, value in (
            ("steps between", 1 if self.steps is None else self.steps),
            ("number of", self.keep),
        ):
            if value < 1:
                raise ValueError(f"the {name} checkpoints must be at least 1; got {value}.")
