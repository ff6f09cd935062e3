# SPDX-License-Identifier: Apache-2.0
"""Writes a source as validated shards: the first steps of the pipeline, for `mixer train`."""

from __future__ import annotations

import collections
import os
from collections.abc import Callable, Iterable, Iterator

from mixer_tf import images, storage
from mixer_tf.datasets import examples, shards, validation
from mixer_tf.datasets.global_shuffle import Shuffle
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.datasets.quarantine import notes_of_remarks, require_training_images
from mixer_tf.datasets.quarantine_limit import QuarantineLimit
from mixer_tf.datasets.sources.source import Source
from mixer_tf.features import TRAIN, ImageRecord


def write_source(
    source: Source,
    folder: str,
    progress: Callable[[int], None] | None = None,
    limit: QuarantineLimit | None = None,
) -> DatasetInfo:
    """Writes a whole source as validated shards, `dataset.json` and `quarantine.jsonl`.

    The shards have the sizes of the pipeline's, see `shards.MAX_IMAGES`, and the images in the
    order of the source. Training images of more than one shard are shuffled over all of them: often
    one class follows the other, and the shuffle buffer of a training holds a part of them only.

    Args:
        source: an open source.
        folder: the Examples folder to write to; created if it does not exist.
        progress: called now and then with the number of images read so far.
        limit: how many images may be unusable; None for any number.

    Returns:
        The content of `dataset.json`; only usable images are counted.

    Raises:
        ValueError: no training image is usable, or more images than the limit are not.
    """
    storage.make_folder(folder)
    storage.remove_folder(shards.work_folder(folder))  # of a call that was killed
    quarantine_path = os.path.join(folder, validation.FILE_NAME)
    with (
        storage.replacing(quarantine_path) as partial,
        storage.gfile().GFile(partial, "w") as quarantine,
    ):
        validated = _ValidatedSource(source, quarantine, progress or (lambda num_read: None))
        for split in source.splits:
            _write_split(validated.usable_records(split), folder, split)
        quarantine.write("")  # gfile creates the file at the first write.
    storage.remove_folder(shards.work_folder(folder))
    notes = (*source.notes, *notes_of_remarks(validated.remarks))
    info = DatasetInfo(source.spec, source.class_names, validated.counts, notes)
    require_training_images(info.source, info.examples, quarantine_path, is_kept=True)
    if limit:
        limit.require(quarantine_path, sum(info.examples.values()), is_kept=True)
    info.write(folder)
    return info


def _write_split(records: Iterable[ImageRecord], folder: str, split: str) -> None:
    """Writes the shards of one split; those that a killed call has left are removed."""
    storage.remove_folder(examples.split_folder(folder, split))
    parts = shards.write_parts(records, folder, split, group=0)
    if split == TRAIN and len(parts.paths) > 1:
        _shuffle(parts, folder)
        return
    for path, final in shards.name_parts([parts], folder, [split]):
        storage.rename_file(path, final)


def _shuffle(parts: shards.Parts, folder: str) -> None:
    """Writes as many shards as there are parts, which are removed."""
    shuffle = Shuffle(folder, parts.split, len(parts.paths), len(parts.paths))
    for index, path in enumerate(parts.paths):
        shuffle.write_piece(examples.read_examples(path), index)
        storage.remove_file(path)
    for index in range(shuffle.num_shards):
        shuffle.write_shard(index)


class _ValidatedSource:
    """Separates the usable records of a source from those for the quarantine file; counts both.

    Attributes:
        num_read: number of images read so far.
        counts: split → class name → number of usable images.
        remarks: what is odd about usable images, with the source of each.
    """

    def __init__(self, source: Source, quarantine, progress: Callable[[int], None]):
        self._source, self._quarantine, self._progress = source, quarantine, progress
        self.num_read = 0
        self.counts: dict[str, dict[str, int]] = {}
        self.remarks: list[tuple[str, str]] = []

    def usable_records(self, split: str) -> Iterator[ImageRecord]:
        by_class = collections.Counter()
        for shard in self._source.shards_of(split):
            for record, found in validation.examine_records(self._source.read(shard)):
                self.num_read += 1
                if isinstance(found, images.UnusableImageError):
                    self._quarantine.write(validation.to_line(record, split, str(found)) + "\n")
                    continue
                checked, remarks = found
                self.remarks += [(remark, record.source) for remark in remarks]
                yield checked
                by_class[record.class_name] += 1
            self._progress(self.num_read)
        self.counts[split] = dict(sorted(by_class.items()))
