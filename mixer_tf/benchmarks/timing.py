# SPDX-License-Identifier: Apache-2.0
"""The loop of every measurement of a rate."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Started = TypeVar("Started")


def calls_per_second(
    run: Callable[[], Started],
    seconds: float,
    wait: Callable[[Started], object] = lambda started: None,
) -> float:
    """Returns calls per second of a function, after one call that does not count.

    Args:
        run: starts a piece of work, or does it.
        seconds: duration; there is at least one call.
        wait: gets what `run` has returned, and returns when the work is done, also that on a
            device. It is called when the next piece has been started, as in a training, so that
            a device does not wait for this process between two pieces.
    """
    started = run()
    wait(started)
    start, count = time.monotonic(), 0
    while time.monotonic() - start < seconds or not count:
        before, started = started, run()
        wait(before)
        count += 1
    wait(started)
    return count / (time.monotonic() - start)
