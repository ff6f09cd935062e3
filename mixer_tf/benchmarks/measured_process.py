# SPDX-License-Identifier: Apache-2.0
"""What a process that measures one setting does, whatever framework it measures.

Imports no TensorFlow, whose memory would count as that of another framework.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from mixer_tf.benchmarks import machine
from mixer_tf.benchmarks.timing import calls_per_second


@dataclasses.dataclass(frozen=True)
class Work:
    """What is measured.

    Attributes:
        run: starts the computation of a batch.
        images: number of images that one call of it processes.
        wait: waits for what `run` has started and returned.
    """

    run: Callable[[], Any]
    images: int
    wait: Callable[[Any], object]


@dataclasses.dataclass(frozen=True)
class Framework:
    """How a framework measures the machine that it computes on.

    Attributes:
        matrix_rate: like `machine.matrix_rate`.
        peak_memory: returns the bytes that this process has had at most on that machine.
    """

    matrix_rate: Callable[[str, float], float] = machine.matrix_rate
    peak_memory: Callable[[], int] = machine.peak_memory


def report(
    build: Callable[[], Work],
    setting: Mapping[str, object],
    framework: Framework = Framework(),
    matrix_seconds: float = machine.MATRIX_SECONDS,
) -> None:
    """Measures, and prints the fields of `throughput.Result` that a process finds, as JSON.

    Args:
        build: returns what is measured.
        setting: has "precision" and "seconds", the duration of the measurement.
        framework: by default, TensorFlow's matrix rate and the main memory.
        matrix_seconds: duration of each of the two measurements of a matrix product.
    """
    memory, start = framework.peak_memory(), time.monotonic()
    work = build()
    work.wait(work.run())  # compiles
    first_seconds = time.monotonic() - start
    work.wait(work.run())  # the memory of the first one is not yet that of all others
    memory = framework.peak_memory() - memory
    before = framework.matrix_rate(setting["precision"], matrix_seconds)
    rate = work.images * calls_per_second(work.run, setting["seconds"], work.wait)
    after = framework.matrix_rate(setting["precision"], matrix_seconds)
    found = {
        "images_per_second": rate,
        "matrix_rate": (before + after) / 2,
        "first_seconds": first_seconds,
        "memory": memory,
    }
    print(json.dumps(found))
