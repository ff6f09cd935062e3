# SPDX-License-Identifier: Apache-2.0
"""Measurement: how the trained models of a study are measured. No TensorFlow."""

from __future__ import annotations

import dataclasses

from mixer_tf.models.validation import check_integer


@dataclasses.dataclass(frozen=True)
class Measurement:
    """How the trained models of a study are measured.

    Attributes:
        evaluations: how often a training is evaluated on the evaluation split, at equal distances;
            the best of these states counts ("early stopping").
        shots: images per class of the linear probe.
        seeds: seeds of the linear probe, which chooses other images for each.
    """

    evaluations: int = 20
    shots: int = 5
    seeds: tuple[int, ...] = (0, 1, 2)

    def __post_init__(self):
        for field in ("evaluations", "shots"):
            check_integer(field, getattr(self, field), at_least=1)
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"the seeds must be different integers; got {self.seeds}.")

    def to_dict(self) -> dict[str, object]:
        """Returns what distinguishes one measurement from another, as JSON has it."""
        return {**dataclasses.asdict(self), "seeds": list(self.seeds)}
