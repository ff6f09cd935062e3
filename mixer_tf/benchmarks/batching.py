# SPDX-License-Identifier: Apache-2.0
"""Finds the batching parameters with which a server answers most images per second."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence

from mixer_tf import storage
from mixer_tf.benchmarks import load
from mixer_tf.benchmarks.load import Measurement
from mixer_tf.serving.batching_parameters import BatchingParameters
from mixer_tf.serving.client import Client

# A gain below this is not worth a higher latency; repeated measurements differ by about as much.
_GAIN = 1.05
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


def find_best(
    serve: Sequence[str],
    images: Sequence[bytes],
    seconds: float,
    report: Callable[[BatchingParameters, Measurement], None],
) -> tuple[BatchingParameters, Measurement]:
    """Tries threads, then sizes of a batch, then waiting times, with requests of one image.

    Twice as many clients as the largest batch has images ask at the same time, as TensorFlow
    Serving's guide recommends.

    Args:
        serve: the command `mixer serve MODEL`.
        images: encoded images.
        seconds: duration of each measurement.
        report: gets each of the parameters with its measurement.

    Returns:
        The best parameters, and their measurement.
    """
    cores = os.cpu_count() or 1
    best = BatchingParameters(max_execution_batch_size=16, num_batch_threads=1)
    found = _try(serve, images, seconds, best, report)
    steps = (
        ("num_batch_threads", sorted({cores} - {1})),
        ("max_execution_batch_size", (4, 32)),
        ("batch_timeout_micros", (1000, 5000)),
    )
    for field, values in steps:
        start = best
        for value in values:
            candidate = dataclasses.replace(start, **{field: value})
            measured = _try(serve, images, seconds, candidate, report)
            if _is_better(measured, found):
                best, found = candidate, measured
    return best, found


def _is_better(new: Measurement, old: Measurement) -> bool:
    """Clearly more images per second, or as many with a lower latency."""
    if new.images_per_second > old.images_per_second * _GAIN:
        return True
    is_as_fast = new.images_per_second * _GAIN > old.images_per_second
    return is_as_fast and new.p99 * _GAIN < old.p99


def _try(serve, images, seconds, parameters, report) -> Measurement:
    with running_server(serve, parameters) as address, Client(address, NAME) as client:
        measured = load.measure(client, images, 1, 2 * parameters.largest_batch, seconds)
    report(parameters, measured)
    return measured
