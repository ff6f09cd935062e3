# SPDX-License-Identifier: Apache-2.0
"""The result or the failure of one step. Imports no TFX, so that errors appear at once."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Step:
    """One step that ran.

    Attributes:
        seconds: on the clock.
        cached: whether its outputs came from the cache.
        overhead: the part of the seconds that is not the executor's: importing it, and ML Metadata.
    """

    seconds: float
    cached: bool
    overhead: float


class StepError(Exception):
    """A step failed; the cause is the exception that it raised."""

    def __init__(self, node_id: str):
        super().__init__(f"step {node_id} failed")
        self.node_id = node_id
