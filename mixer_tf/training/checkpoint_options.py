# SPDX-License-Identifier: Apache-2.0
"""When a training saves checkpoints, and how many it keeps. Imports no TensorFlow."""

from __future__ import annotations

import dataclasses


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
