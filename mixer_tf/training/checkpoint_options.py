# SPDX-License-Identifier: Apache-2.0
"""When a training saves checkpoints, and how many it keeps. Imports no TensorFlow."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable

# Where a training gets its arguments from an orchestrator, whose cache knows them all, the options
# come from the environment: another value must not repeat a training that is complete.
MINUTES_VARIABLE = "MIXER_TF_CHECKPOINT_MINUTES"
STEPS_VARIABLE = "MIXER_TF_CHECKPOINT_STEPS"
KEEP_VARIABLE = "MIXER_TF_KEEP_CHECKPOINTS"

_VARIABLES = {  # field -> its variable, what reads it, and what that is called
    "minutes": (MINUTES_VARIABLE, float, "a number of minutes"),
    "steps": (STEPS_VARIABLE, int, "a number of steps"),
    "keep": (KEEP_VARIABLE, int, "a number of checkpoints"),
}


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
        """Returns the options; those that are not given are taken from environment variables.

        Raises:
            ValueError: a value is out of range, or that of a variable is not a number.
        """
        found = {name: _read(*_VARIABLES[name]) for name in _VARIABLES if name not in fields}
        return cls(**fields, **{name: value for name, value in found.items() if value is not None})

    def environment(self) -> dict[str, str]:
        """Returns the variables from which `from_environment` reads what is not the default."""
        values = {name: getattr(self, name) for name in _VARIABLES}
        changed = {name: each for name, each in values.items() if each != getattr(type(self), name)}
        return {_VARIABLES[name][0]: str(each) for name, each in changed.items()}

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


def _read(variable: str, convert: Callable[[str], float], title: str) -> float | None:
    text = os.environ.get(variable)
    if text is None:
        return None
    try:
        return convert(text)
    except ValueError:
        raise ValueError(
            f"the environment variable {variable} must be {title}; got {text!r}."
        ) from None
