# SPDX-License-Identifier: Apache-2.0
"""The thresholds of anomalies, with their options. Imports nothing heavy."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class StatisticsLimits:
    """Thresholds above which a statistic is an anomaly. All are in [0, 1].

    Attributes:
        unreadable: share of the images of a split that cannot be decoded.
        near_constant: share of the images of a split that are nearly of one color.
        skew: difference between training and another split, beyond chance: of the share of a
            label, a format or of grayscale images, or the Jensen-Shannon divergence of a histogram,
            in bits. That of two normal distributions is 0.1 if they are 0.8 standard deviations
            apart.
        class_skew: the same between a training class and all others. Classes differ by nature; one
            that differs by more can be recognized without looking at what the image shows.
    """

    unreadable: float = 0.01
    near_constant: float = 0.01
    skew: float = 0.1
    class_skew: float = 0.5

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not 0 <= value <= 1:
                raise ValueError(
                    f"{field.name} must be a share or a difference from 0 to 1; got {value}."
                )


# Field of StatisticsLimits → its option.
OPTIONS = {
    field.name: f"--max-{field.name.replace('_', '-')}"
    for field in dataclasses.fields(StatisticsLimits)
}
