# SPDX-License-Identifier: Apache-2.0
"""Sends requests to a model server from several threads, and measures rate and latency."""

from __future__ import annotations

import dataclasses
import itertools
import threading
import time
from collections.abc import Sequence
from concurrent import futures

import numpy as np

from mixer_tf.serving.client import Client

_WARM_UP_SECONDS = 0.5


@dataclasses.dataclass(frozen=True)
class Measurement:
    """The load that a server took.

    Attributes:
        batch_size: images in a request.
        concurrency: number of threads, each of which waits for its answer before it asks again.
        requests: number of answered requests.
        seconds: duration.
        p50, p99: latency in seconds of which half and 99 % of the requests were faster.
    """

    batch_size: int
    concurrency: int
    requests: int
    seconds: float
    p50: float
    p99: float

    @property
    def requests_per_second(self) -> float:
        return self.requests / self.seconds

    @property
    def images_per_second(self) -> float:
        return self.requests * self.batch_size / self.seconds


def measure(
    client: Client, images: Sequence[bytes], batch_size: int, concurrency: int, seconds: float
) -> Measurement:
    """Measures for some seconds, after half a second that does not count.

    Args:
        client: its threads share the connection (gRPC), or have one each (REST).
        images: encoded images, which are sent in turn.
        batch_size: images in a request.
        concurrency: number of threads.
        seconds: duration; at least one request of each thread is waited for.

    Raises:
        ServingError: the server refused a request.
    """
    batches = itertools.cycle(_batches(images, batch_size))
    lock, start = threading.Lock(), time.monotonic() + _WARM_UP_SECONDS
    finished: list[tuple[float, float]] = []  # (end, latency)

    def ask() -> None:
        while (begin := time.monotonic()) < start + seconds or not finished:
            with lock:
                batch = next(batches)
            client.classify(batch)
            end = time.monotonic()
            if begin >= start:
                finished.append((end, end - begin))

    with futures.ThreadPoolExecutor(concurrency) as pool:
        for future in [pool.submit(ask) for _ in range(concurrency)]:
            future.result()
    latencies = np.array([latency for _, latency in finished])
    duration = max(end for end, _ in finished) - start
    p50, p99 = np.percentile(latencies, [50, 99])
    return Measurement(batch_size, concurrency, len(finished), duration, float(p50), float(p99))


def _batches(images: Sequence[bytes], size: int) -> list[list[bytes]]:
    """Returns batches of a size, which start at different images."""
    endless = list(itertools.islice(itertools.cycle(images), len(images) + size))
    return [endless[start : start + size] for start in range(len(images))]
