# SPDX-License-Identifier: Apache-2.0
"""Sends requests to a model server from several threads, and measures rate and latency."""

from __future__ import annotations

import dataclasses
import itertools
import threading
import time
from collections.abc import Iterator, Sequence
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
    clients = _Clients(client, itertools.cycle(_batches(images, batch_size)), concurrency, seconds)
    with futures.ThreadPoolExecutor(concurrency) as pool:
        for future in [pool.submit(clients.ask, number) for number in range(concurrency)]:
            future.result()
    measured = clients.time_measured()
    counted = [each for each in itertools.chain(*clients.requests) if each.share_in(measured)]
    p50, p99 = np.percentile([each.length for each in counted], [50, 99])
    rate = sum(each.share_in(measured) for each in counted) / measured.length
    return Measurement(batch_size, concurrency, rate, float(p50), float(p99))


class _Clients:
    """Threads that ask until each of them has an answer from after the time that is measured.

    Attributes:
        requests: for each thread, when each of its requests began and was answered.
    """

    def __init__(self, client: Client, batches: Iterator[list[bytes]], number: int, seconds: float):
        self.requests: list[list[_Interval]] = [[] for _ in range(number)]
        self._client, self._batches, self._seconds = client, batches, seconds
        self._begin = time.monotonic()
        self._lock, self._has_failed = threading.Lock(), threading.Event()

    def ask(self, number: int) -> None:
        """Sends the requests of a thread, one after the other."""
        while not self._has_failed.is_set() and not self._is_over():
            with self._lock:
                batch = next(self._batches)
            asked = time.monotonic()
            try:
                self._client.classify(batch)
            except BaseException:
                self._has_failed.set()
                raise
            self.requests[number].append(_Interval(asked, time.monotonic()))

    def time_measured(self) -> _Interval | None:
        """Returns the time; None before each thread has an answer, after which it begins."""
        if not all(self.requests):
            return None
        first = (answered[0].end for answered in self.requests)
        start = max(self._begin + _WARM_UP_SECONDS, *first)
        return _Interval(start, start + self._seconds)

    def _is_over(self) -> bool:
        """Whether no thread still waits for an answer to a request that counts."""
        measured = self.time_measured()
        return measured is not None and all(
            answered[-1].end >= measured.end for answered in self.requests
        )


def _batches(images: Sequence[bytes], size: int) -> list[list[bytes]]:
    """Returns batches of a size, which start at different images."""
    endless = list(itertools.islice(itertools.cycle(images), len(images) + size))
    return [endless[start : start + size] for start in range(len(images))]
