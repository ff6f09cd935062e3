# SPDX-License-Identifier: Apache-2.0
"""The work of Preprocessor: checks, reduces and shuffles the images, and writes equal shards."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence

import apache_beam as beam
from apache_beam.pvalue import AsSingleton

from components.records import with_counts
from mixer_tf import storage
from mixer_tf.datasets import examples, preparation, quarantine, shards, validation
from mixer_tf.datasets.global_shuffle import Shuffle
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.datasets.preparation import Prepared
from mixer_tf.features import TRAIN

InputShard = tuple[str, int, str]
OutputShard = tuple[str, int]


class Preprocess(beam.PTransform):
    """Reads the splits of one Examples folder and writes those of another.

    A worker reads and writes whole shards, so that no image passes through Beam; see
    `global_shuffle`. `dataset.json` is written last.

    Args:
        folder: the folder of the Examples to read, with their `dataset.json`.
        splits: the splits of these Examples.
        output_folder: the folder for shards and `dataset.json`.
        quarantine_folder: the folder for `quarantine.jsonl`.
        train_shorter_side: pixels to which the shorter side of larger training images is reduced,
            or None. Evaluation and test images keep their size, as images do in serving.
        num_shards: number of files for each split; None for that of `shards.count_shards`, for
            which the images are read once more, and not decoded.
        seed: another seed gives another order of the images.
    """

    def __init__(
        self,
        folder: str,
        splits: Iterable[str],
        output_folder: str,
        quarantine_folder: str,
        train_shorter_side: int | None = None,
        num_shards: int | None = None,
        seed: int = 0,
    ):
        super().__init__()
        self._folder = folder
        self._splits = tuple(splits)
        self._output_folder = output_folder
        self._quarantine_folder = quarantine_folder
        self._train_shorter_side = train_shorter_side
        self._num_shards = num_shards
        self._seed = seed

    def expand(self, pbegin):
        info = DatasetInfo.read(self._folder)
        paths = {split: examples.list_shards(self._folder, split) for split in self._splits}
        shuffles = AsSingleton(
            self._measure(pbegin, paths)
            | "Shuffles"
            >> beam.Map(
                make_shuffles,
                num_pieces={split: len(found) for split, found in paths.items()},
                num_images=info.examples,
                folder=self._output_folder,
                num_shards=self._num_shards,
                seed=self._seed,
            )
        )
        prepared = (
            pbegin
            | "Shards" >> beam.Create(list_input_shards(paths), reshuffle=False)
            | "Spread" >> beam.Reshuffle()
            | "Prepare" >> beam.Map(prepare, shuffles, self._train_shorter_side)
            | "All prepared" >> beam.combiners.ToList()
        )
        num_prepared = prepared | "Count prepared" >> beam.Map(len)
        written = (
            pbegin
            | "Start" >> beam.Create([None], reshuffle=False)
            | "Output shards" >> beam.FlatMap(list_output_shards, shuffles)
            | "Spread output" >> beam.Reshuffle()
            | "Merge" >> beam.Map(merge, shuffles, AsSingleton(num_prepared))
            | "Count written" >> beam.CombineGlobally(sum)
        )
        return prepared | "Finish" >> beam.Map(
            finish,
            num_written=AsSingleton(written),
            info=info,
            splits=self._splits,
            folder=self._output_folder,
            quarantine_folder=self._quarantine_folder,
        )

    def _measure(self, pbegin, paths: Mapping[str, Sequence[str]]) -> beam.PCollection:
        """Makes one dictionary: split → number of bytes; empty where they do not matter."""
        if self._num_shards:
            return pbegin | "Sizes" >> beam.Create([{}], reshuffle=False)
        return (
            pbegin
            | "Shards to measure" >> beam.Create(list_input_shards(paths), reshuffle=False)
            | "Spread shards to measure" >> beam.Reshuffle()
            | "Measure" >> beam.Map(measure, self._train_shorter_side)
            | "Sum" >> beam.CombinePerKey(sum)
            | "Sizes" >> beam.combiners.ToDict()
        )


def list_input_shards(paths: Mapping[str, Sequence[str]]) -> list[InputShard]:
    """Returns (split, index, path) of every shard."""
    return [(split, i, path) for split in paths for i, path in enumerate(paths[split])]


def measure(shard: InputShard, train_shorter_side: int | None) -> tuple[str, int]:
    """Returns the split of an input shard, and about the size in bytes of its usable images."""
    split, _, path = shard
    shorter_side = train_shorter_side if split == TRAIN else None
    return split, preparation.measure_shard(path, shorter_side)


def make_shuffles(
    sizes: Mapping[str, int],
    num_pieces: Mapping[str, int],
    num_images: Mapping[str, int],
    folder: str,
    num_shards: int | None,
    seed: int,
) -> dict[str, Shuffle]:
    """Returns split → its shuffle.

    Args:
        sizes: split → number of bytes.
        num_pieces: split → number of input shards.
        num_images: split → number of images.
        folder, num_shards, seed: see `Preprocess`.
    """
    return {
        split: Shuffle(
            folder,
            split,
            pieces,
            num_shards or shards.count_shards(num_images.get(split, 0), sizes.get(split, 0)),
            seed,
        )
        for split, pieces in num_pieces.items()
    }


def list_output_shards(start: None, shuffles: Mapping[str, Shuffle]) -> list[OutputShard]:
    """Returns (split, index) of every shard to write."""
    del start
    return [(split, i) for split in shuffles for i in range(shuffles[split].num_shards)]


def prepare(
    shard: InputShard, shuffles: Mapping[str, Shuffle], train_shorter_side: int | None
) -> Prepared:
    """Checks, reduces and divides the images of one input shard."""
    split, index, path = shard
    shorter_side = train_shorter_side if split == TRAIN else None
    return preparation.prepare_shard(path, index, shuffles[split], shorter_side)


def merge(shard: OutputShard, shuffles: Mapping[str, Shuffle], num_prepared: int) -> int:
    """Writes one output shard; the number of input shards is there so that they come first."""
    del num_prepared
    split, index = shard
    return shuffles[split].write_shard(index)


def finish(
    prepared: Sequence[Prepared],
    num_written: int,
    info: DatasetInfo,
    splits: Sequence[str],
    folder: str,
    quarantine_folder: str,
) -> None:
    """Writes `quarantine.jsonl` and `dataset.json`, and removes what only the shuffle needed.

    Raises:
        RuntimeError: not every image is in a shard or in the quarantine file.
    """
    lines = sorted(line for found in prepared for line in found.lines)
    storage.make_folder(quarantine_folder)  # Kubeflow Pipelines v2 and Vertex make none
    path = os.path.join(quarantine_folder, validation.FILE_NAME)
    storage.write_text(path, "".join(f"{line}\n" for line in lines))
    notes = quarantine.notes_of_counts(found.remarks for found in prepared)
    counts = [(found.split, found.counts) for found in prepared]
    result = with_counts(info, splits, counts, notes)
    _require_complete(sum(info.examples.values()), num_written, result, len(lines))
    storage.remove_folder(shards.work_folder(folder))
    result.write(folder)


def _require_complete(num_read: int, num_written: int, info: DatasetInfo, num_bad: int) -> None:
    num_usable = sum(info.examples.values())
    if num_written != num_usable or num_usable + num_bad != num_read:
        raise RuntimeError(
            "every image must be in a shard or in the quarantine file; "
            f"of {num_read:,} images {num_usable:,} are usable and {num_bad:,} are not, and "
            f"{num_written:,} were written. Run the step again."
        )
