# SPDX-License-Identifier: Apache-2.0
"""The loop of every measurement of a rate."""

from __future__ import annotations

import time
from collections.abc import Callable


def calls_per_second(run: Callable[[], object], seconds: float) -> float:
    """Returns calls per second of a function, after one call that does not count.

    Args:
        run: returns when its work is done, also that on a device.
        seconds: duration; there is at least one call.
    """
    run()
    start, count = time.monotonic(), 0
    while time.monotonic() - start < seconds or not count:
        run()
        count += 1
    return count / (time.monotonic() - start)
