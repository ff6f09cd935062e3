# SPDX-License-Identifier: Apache-2.0
"""The result or the failure of one step. Imports no TFX, so that errors appear at once."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Step:
    """One step that ran: wall-clock seconds, and whether its outputs came from the cache."""

    seconds: float
    cached: bool


class StepError(Exception):
    """A step failed; the cause is the exception that it raised."""

    def __init__(self, node_id: str):
        super().__init__(f"step {node_id} failed")
        self.node_id = node_id
