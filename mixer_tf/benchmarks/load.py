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
        requests_per_second: answered requests.
        p50, p99: latency in seconds of which half and 99 % of the requests were faster.
    """

    batch_size: int
    concurrency: int
    requests_per_second: float
    p50: float
    p99: float

    @property
    def images_per_second(self) -> float:
        return self.requests_per_second * self.batch_size


@dataclasses.dataclass(frozen=True)
class _Interval:
    """From `begin` to `end`, in seconds of the monotonic clock."""

    begin: float
    end: float

    @property
    def length(self) -> float:
        return self.end - self.begin

    def share_in(self, other: _Interval) -> float:
        """Returns the share of this interval that lies in another one."""
        return max(0.0, min(self.end, other.end) - max(self.begin, other.begin)) / self.length


def measure(
    client: Client, images: Sequence[bytes], batch_size: int, concurrency: int, seconds: float
) -> Measurement:
    """Measures for some seconds, while all threads ask all the time.

    The time begins when each thread has got an answer, and half a second at least has passed. A
    request that is answered partly within the time counts in part, since a request may take longer
    than `seconds`.

    Args:
        client: its threads share the connection (gRPC), or have one each (REST).
        images: encoded images, which are sent in turn.
        batch_size: images in a request.
        concurrency: number of threads.
        seconds: duration.

    Raises:
        ServingError: the server refused a request.
    """
    batches = itertools.cycle(_batches(images, batch_size))
    begin = time.monotonic()
    lock, requests = threading.Lock(), [[] for _ in range(concurrency)]
    failed = threading.Event()

    def time_measured() -> _Interval | None:
        if not all(requests):
            return None
        start = max(begin + _WARM_UP_SECONDS, *(answered[0].end for answered in requests))
        return _Interval(start, start + seconds)

    def is_over() -> bool:
        """Whether no thread still waits for an answer to a request that counts."""
        measured = time_measured()
        return measured is not None and all(
            answered[-1].end >= measured.end for answered in requests
        )

    def ask(answered: list[_Interval]) -> None:
        while not failed.is_set() and not is_over():
            with lock:
                batch = next(batches)
            asked = time.monotonic()
            try:
                client.classify(batch)
            except BaseException:
                failed.set()
                raise
            answered.append(_Interval(asked, time.monotonic()))

    with futures.ThreadPoolExecutor(concurrency) as pool:
        for future in [pool.submit(ask, answered) for answered in requests]:
            future.result()
    measured = time_measured()
    counted = [each for answered in requests for each in answered if each.share_in(measured)]
    p50, p99 = np.percentile([each.length for each in counted], [50, 99])
    rate = sum(each.share_in(measured) for each in counted) / measured.length
    return Measurement(batch_size, concurrency, rate, float(p50), float(p99))


def _batches(images: Sequence[bytes], size: int) -> list[list[bytes]]:
    """Returns batches of a size, which start at different images."""
    endless = list(itertools.islice(itertools.cycle(images), len(images) + size))
    return [endless[start : start + size] for start in range(len(images))]
