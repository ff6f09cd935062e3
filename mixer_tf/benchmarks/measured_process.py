# SPDX-License-Identifier: Apache-2.0
"""What a process that measures one setting does, whatever framework it measures.

Imports no TensorFlow, whose memory would count as that of another framework.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping

from mixer_tf.benchmarks import machine
from mixer_tf.benchmarks.timing import calls_per_second


def report(
    build: Callable[[], tuple[Callable[[], object], int]],
    setting: Mapping[str, object],
    matrix_seconds: float = machine.MATRIX_SECONDS,
) -> None:
    """Measures, and prints the fields of `throughput.Result` that a process finds, as JSON.

    Args:
        build: returns what is measured, and the number of images that one call of it processes.
        setting: has "precision" and "seconds", the duration of the measurement.
        matrix_seconds: duration of each of the two measurements of a matrix product.
    """
    memory, start = machine.peak_memory(), time.monotonic()
    run, images = build()
    run()  # compiles
    first_seconds = time.monotonic() - start
    run()  # the memory of the first one is not yet that of all others
    memory = machine.peak_memory() - memory
    before = machine.matrix_rate(setting["precision"], matrix_seconds)
    rate = images * calls_per_second(run, setting["seconds"])
    after = machine.matrix_rate(setting["precision"], matrix_seconds)
    found = {
        "images_per_second": rate,
        "matrix_rate": (before + after) / 2,
        "first_seconds": first_seconds,
        "memory": memory,
    }
    print(json.dumps(found))
