# SPDX-License-Identifier: Apache-2.0
"""The work of ImageStatistics: measures each shard, and merges the results into one report."""

from __future__ import annotations

from collections.abc import Sequence

import apache_beam as beam

from mixer_tf.datasets import examples
from mixer_tf.datasets.statistics import DatasetStatistics, measure_records, merge_all
from mixer_tf.datasets.statistics_limits import StatisticsLimits
from mixer_tf.visualization import statistics_page


class MeasureExamples(beam.PTransform):
    """Measures an Examples folder, and writes statistics.json and statistics.html.

    Each image is decoded once, at a reduced size. A worker holds the statistics of each class, not
    the images.

    Args:
        folder: the Examples folder to read.
        splits: its splits.
        output_folder: the folder to write to.
        spec: the specification of the source.
        limits: thresholds of anomalies.
    """

    def __init__(
        self,
        folder: str,
        splits: Sequence[str],
        output_folder: str,
        spec: str,
        limits: StatisticsLimits,
    ):
        super().__init__()
        self._folder, self._splits = folder, tuple(splits)
        self._output_folder, self._spec, self._limits = output_folder, spec, limits

    def expand(self, pbegin):
        shards = [
            (path, split)
            for split in self._splits
            for path in examples.list_shards(self._folder, split)
        ]
        return (
            pbegin
            | "Shards" >> beam.Create(shards, reshuffle=False)
            | "Spread" >> beam.Reshuffle()
            | "Measure" >> beam.Map(measure_shard)
            | "Merge" >> beam.CombineGlobally(merge_all)
            | "Write" >> beam.Map(write, self._output_folder, self._spec, self._limits)
        )


def measure_shard(path_and_split: tuple[str, str]) -> DatasetStatistics:
    """Measures the images of one shard."""
    path, split = path_and_split
    return measure_records(examples.read_records(path), split)


def write(
    statistics: DatasetStatistics, folder: str, spec: str, limits: StatisticsLimits
) -> list[str]:
    """Writes both files, and returns the anomalies."""
    return statistics_page.write(folder, statistics, spec, limits)
