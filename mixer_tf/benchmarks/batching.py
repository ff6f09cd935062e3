# SPDX-License-Identifier: Apache-2.0
"""Finds the batching parameters with which a server answers most images per second."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence

from mixer_tf import storage, workers
from mixer_tf.benchmarks import load
from mixer_tf.benchmarks.load import Measurement
from mixer_tf.serving.batching_parameters import BatchingParameters
from mixer_tf.serving.client import Client

# A gain below this is not worth a higher latency; repeated measurements differ by about as much.
_GAIN = 1.05
_CLIENTS_OF_LARGE_REQUESTS = 4
NAME = "model"


@contextlib.contextmanager
def running_server(serve: Sequence[str], parameters: BatchingParameters) -> Iterator[str]:
    """Yields the gRPC address of a server in a process of its own.

    Args:
        serve: the command `mixer serve MODEL`.
        parameters: how it joins requests.

    Raises:
        ValueError: it did not start.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "batching.txt")
        storage.write_text(file, parameters.to_text())
        command = [*serve, "--name", NAME, "--rest-port=0", "--grpc-port=0"]
        command += ["--batching-parameters-file", file]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            yield f"grpc://{_read_address(process)}"
        finally:
            process.terminate()
            process.communicate()


def _read_address(process: subprocess.Popen) -> str:
    for line in process.stdout:
        if found := re.match(r"gRPC +(\S+)", line):
            return found.group(1)
    raise ValueError(f"the server must start; {process.stderr.read().strip()}")


@dataclasses.dataclass(frozen=True)
class Trial:
    """What a server did with some batching parameters.

    Attributes:
        parameters: how it joined requests.
        measurements: one for each load.
    """

    parameters: BatchingParameters
    measurements: tuple[Measurement, ...]

    @property
    def images_per_second(self) -> float:
        """The geometric mean over the loads."""
        return statistics.geometric_mean(each.images_per_second for each in self.measurements)

    @property
    def p99(self) -> float:
        """The geometric mean over the loads, in seconds."""
        return statistics.geometric_mean(each.p99 for each in self.measurements)


def find_best(
    serve: Sequence[str],
    images: Sequence[bytes],
    largest_request: int,
    seconds: float,
    report: Callable[[Trial], None],
) -> Trial:
    """Tries threads, then sizes of a batch, then waiting times; returns the best.

    The loads are requests of one image, by twice as many clients as the largest batch has images,
    as TensorFlow Serving's guide recommends, and large requests by a few clients.

    Args:
        serve: the command `mixer serve MODEL`.
        images: encoded images.
        largest_request: number of images in a large request; 1 for none.
        seconds: duration of each measurement.
        report: gets each trial.
    """

    def measure(parameters: BatchingParameters) -> Trial:
        loads = [(1, 2 * parameters.largest_batch)]
        if largest_request > 1:
            loads.append((largest_request, _CLIENTS_OF_LARGE_REQUESTS))
        trial = Trial(parameters, _try(serve, images, loads, seconds, parameters))
        report(trial)
        return trial

    cores = workers.count_processors()
    largest = max(BatchingParameters.max_batch_size, largest_request)
    best = measure(
        BatchingParameters(max_batch_size=largest, max_execution_batch_size=16, num_batch_threads=1)
    )
    steps = (
        ("num_batch_threads", sorted({cores} - {1})),
        ("max_execution_batch_size", (4, 32)),
        ("batch_timeout_micros", (1000, 5000)),
    )
    for field, values in steps:
        start = best.parameters
        for value in values:
            trial = measure(dataclasses.replace(start, **{field: value}))
            if _is_better(trial, best):
                best = trial
    return best


def _is_better(new: Trial, old: Trial) -> bool:
    """Clearly more images per second, or as many with a lower latency."""
    if new.images_per_second > old.images_per_second * _GAIN:
        return True
    is_as_fast = new.images_per_second * _GAIN > old.images_per_second
    return is_as_fast and new.p99 * _GAIN < old.p99


def _try(serve, images, loads, seconds, parameters) -> tuple[Measurement, ...]:
    with running_server(serve, parameters) as address, Client(address, NAME) as client:
        return tuple(load.measure(client, images, *each, seconds) for each in loads)
