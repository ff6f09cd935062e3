# SPDX-License-Identifier: Apache-2.0
"""Measures the images of a source, with several processes, for `mixer data stats`."""

from __future__ import annotations

import concurrent.futures
import itertools
import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from mixer_tf.datasets.sources.source import Source
from mixer_tf.datasets.statistics import DatasetStatistics, measure_records
from mixer_tf.features import ImageRecord

# Work items that wait for a process, for each process: their list may be long.
_WAITING = 4

_Reader = Callable[[Any], Iterable[ImageRecord]]


def measure_source(
    source: Source,
    processes: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> DatasetStatistics:
    """Reads and measures all images of a source; the result does not depend on `processes`.

    Args:
        source: the open source.
        processes: number of processes; with 1, the images are read in this one.
        progress: called with the numbers of finished and of all work items.

    Raises:
        RuntimeError: a process was killed.
    """
    work = [(shard, split) for split in source.splits for shard in source.shards_of(split)]
    statistics = DatasetStatistics()
    processes = min(processes, len(work))
    parts = _in_processes(source, work, processes) if processes > 1 else _here(source, work)
    for number, part in enumerate(parts, 1):
        statistics.merge(part)
        if progress:
            progress(number, len(work))
    return statistics


def _here(source: Source, work: list) -> Iterator[DatasetStatistics]:
    return (_measure(source.reader, *item) for item in work)


def _in_processes(source: Source, work: list, processes: int) -> Iterator[DatasetStatistics]:
    """The parts, in the order in which they are finished.

    Processes are spawned: a forked one would inherit TensorFlow's threads in a broken state.
    """
    context = multiprocessing.get_context("spawn")
    pool = concurrent.futures.ProcessPoolExecutor(processes, context)
    items = iter(work)
    waiting: set[concurrent.futures.Future] = set()
    try:
        while True:
            for shard, split in itertools.islice(items, _WAITING * processes - len(waiting)):
                waiting.add(pool.submit(_measure, source.reader, shard, split))
            if not waiting:
                return
            done, waiting = concurrent.futures.wait(
                waiting, return_when=concurrent.futures.FIRST_COMPLETED
            )
            yield from (future.result() for future in done)
    except BrokenProcessPool:
        raise RuntimeError(
            f"each of the {processes} processes must be able to finish; one was killed, as when "
            "memory runs out. Use fewer, such as --processes=1."
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _measure(reader: _Reader, shard: Any, split: str) -> DatasetStatistics:
    return measure_records(reader(shard), split)
