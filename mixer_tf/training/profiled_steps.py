# SPDX-License-Identifier: Apache-2.0
"""The steps of a training to profile, as `--profile` names them. No TensorFlow."""

from __future__ import annotations

import dataclasses
import re

_MAX_STEPS = 100  # the trace of more does not fit in memory


@dataclasses.dataclass(frozen=True)
class ProfiledSteps:
    """The steps to profile.

    Attributes:
        first: the first one; steps count from 1.
        last: the last one.
    """

    first: int
    last: int

    @classmethod
    def parse(cls, text: str) -> ProfiledSteps:
        """Reads "10:20", or "10" for a single step.

        Raises:
            ValueError: it is something else, or the steps are too many.
        """
        match = re.fullmatch(r"([0-9]{1,9})(?::([0-9]{1,9}))?", text)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not 1 <= first <= last:
            raise ValueError(
                "the steps to profile must be FIRST:LAST, from 1, the last one included; got "
                f"{text!r}. Use for example 10:20."
            )
        if last - first >= _MAX_STEPS:
            raise ValueError(
                f"at most {_MAX_STEPS} steps can be profiled; got {last - first + 1}. "
                f"Use for example {first}:{first + 10}."
            )
        return cls(first, last)
