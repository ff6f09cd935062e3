# SPDX-License-Identifier: Apache-2.0
"""Measures the images of a source, with several processes, for `mixer data stats`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from mixer_tf import workers
from mixer_tf.datasets.sources.source import Source
from mixer_tf.datasets.statistics import DatasetStatistics, measure_records
from mixer_tf.features import ImageRecord


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
    jobs = [(shard, split) for split in source.splits for shard in source.shards_of(split)]
    statistics = DatasetStatistics()
    for number, part in enumerate(workers.run(_measure, source.reader, jobs, processes), 1):
        statistics.merge(part)
        if progress:
            progress(number, len(jobs))
    return statistics


def _measure(
    reader: Callable[[Any], Iterable[ImageRecord]], job: tuple[Any, str]
) -> DatasetStatistics:
    shard, split = job
    return measure_records(reader(shard), split)
