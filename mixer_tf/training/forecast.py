# SPDX-License-Identifier: Apache-2.0
"""What a training is expected to take, and the line that says so. No TensorFlow."""

from __future__ import annotations

import dataclasses

from mixer_tf.console import duration_in_words


@dataclasses.dataclass(frozen=True)
class Forecast:
    """What a training is expected to take on this machine.

    Attributes:
        seconds: of the whole run.
        seconds_per_step: of a training step.
    """

    seconds: float
    seconds_per_step: float


def speed_line(
    forecast: Forecast,
    batch_size: int,
    planned: Forecast | None = None,
    *,
    resumed: bool = False,
    lacks_evaluations: bool = False,
) -> str:
    """Returns "speed    540 images/s; about 1 h 20 min in all", beside what was planned.

    Args:
        forecast: as it followed from the first steps.
        batch_size: images per step.
        planned: the plan of the whole training; None without one.
        resumed: whether the run continues an earlier one: the plan then compares the steps alone.
        lacks_evaluations: whether the forecast knows nothing of evaluations that are to come.
    """
    time = f"about {duration_in_words(forecast.seconds)} {'for the rest' if resumed else 'in all'}"
    line = f"{'speed':<8} {_speed(forecast, batch_size)}; {time}"
    if lacks_evaluations:
        line += ", without the evaluations"
    if planned is None:
        return line
    time = "" if resumed else f", {duration_in_words(planned.seconds)}"
    return f"{line} (planned: {_speed(planned, batch_size)}{time})"


def planned_line(planned: Forecast, batch_size: int) -> str:
    """Returns "expected 540 images/s; about 1 h 20 min in all", to show before the start."""
    time = duration_in_words(planned.seconds)
    return f"expected {_speed(planned, batch_size)}; about {time} in all"


def _speed(forecast: Forecast, batch_size: int) -> str:
    speed = batch_size / forecast.seconds_per_step
    return f"{speed:,.0f} images/s" if speed >= 10 else f"{speed:.2g} images/s"
