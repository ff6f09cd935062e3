# SPDX-License-Identifier: Apache-2.0
"""The deduplication of sources in memory and in one process, with which both others are compared:
the Deduplicator of the pipeline and `mixer dedup`.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from mixer_tf.datasets.sources.source import Source
from mixer_tf.deduplication import image_sets, report
from mixer_tf.deduplication.fingerprints import Fingerprints, fingerprint_shard
from mixer_tf.deduplication.gallery import (
    Gallery,
    find_in_gallery,
    find_in_tests,
    find_within,
    list_blocks,
    list_evaluation_blocks,
    make_gallery,
)
from mixer_tf.deduplication.image_sets import ImageSet, Reader
from mixer_tf.deduplication.label_conflicts import (
    Conflict,
    LabeledImage,
    find_conflict,
    labeled_images,
)
from mixer_tf.deduplication.leaks import find_leaks
from mixer_tf.deduplication.matching import Match
from mixer_tf.deduplication.options import DeduplicationOptions
from mixer_tf.deduplication.removals import decide
from mixer_tf.deduplication.result import DeduplicationResult
from mixer_tf.features import TRAIN, ImageRecord


def find_duplicates(
    train: Source,
    references: Sequence[Source] = (),
    options: DeduplicationOptions | None = None,
    progress: Callable[[int], None] | None = None,
) -> DeduplicationResult:
    """Finds the training images that are duplicates of evaluation or test images.

    Also finds the evaluation images that are duplicates of test images, of its own or others.

    Args:
        train: the source whose training images are searched for duplicates of its own evaluation
            and test images and of `references`.
        references: other sources; no image of theirs, whatever its split, should be trained on.
        options: None for the defaults.
        progress: called now and then with the number of images read so far.

    Returns:
        The result; nothing is written or removed. It equals that of the Deduplicator component,
        which may compare more pairs of images with many look-alikes; see `blocks`.
    """
    options = options or DeduplicationOptions()
    references = [*{source.spec: source for source in references}.values()]
    train_set, *test_sets = _image_sets(train, references)
    comparable_sets = image_sets.find_comparable_sets(train.class_names, references)
    reading = _Reading(options, comparable_sets, progress or (lambda num_read: None))
    tests = make_gallery(
        part for image_set in test_sets for part in reading.fingerprints(image_set)
    )
    matches = [m for start in list_evaluation_blocks(tests) for m in find_in_tests(start, tests)]
    found, of_training = _search(reading.fingerprints(train_set), tests, options.within_train)
    matches += found
    return DeduplicationResult(
        options=options,
        leaked=find_leaks(matches, tests, comparable_sets, options.keep).counts,
        removals=tuple(decide(matches, comparable_sets, options.keep)),
        counts=reading.counts,
        uniform_sets=(*tests.uniform_sets, *of_training),
        readers={image_set.name: image_set.reader for image_set in (train_set, *test_sets)},
        label_conflicts=reading.find_conflicts(),
    )


def _search(
    train: Iterable[Fingerprints], tests: Gallery, within_train: bool
) -> tuple[list[Match], tuple[str, ...]]:
    """The matches of training images, and the names of the uniform sets among training."""
    matches, parts = [], []
    for part in train:
        matches += find_in_gallery(part, tests)
        if within_train:
            parts.append(part)
    if not within_train:
        return matches, ()
    gallery = make_gallery(parts)
    for start in list_blocks(gallery):
        matches += find_within(start, gallery)
    return matches, gallery.uniform_sets


def remove_duplicates(train: Source, result: DeduplicationResult) -> Source:
    """Returns the source without the removed images."""
    removed = collections.defaultdict(set)
    for removal in result.removed:
        removed[removal.match.image.work_item].add(removal.match.image.index)
    reader = FilteredReader(train.reader, removed)
    return dataclasses.replace(train, reader=reader, image_ids=None)


@dataclasses.dataclass(frozen=True)
class FilteredReader:
    """Reads the work items of another reader without some images, by their indices."""

    reader: Reader
    removed: Mapping[Any, Collection[int]]

    def __call__(self, shard: Any) -> Iterator[ImageRecord]:
        removed = self.removed.get(shard, ())
        for index, record in enumerate(self.reader(shard)):
            if index not in removed:
                yield record


class _Reading:
    """Reads and fingerprints sets of images, counts the images, and notes their labels."""

    def __init__(
        self,
        options: DeduplicationOptions,
        comparable_sets: Collection[str],
        progress: Callable[[int], None],
    ):
        self._threshold, self._progress = options.threshold, progress
        self._comparable_sets = comparable_sets
        self._labels: dict[bytes, list[LabeledImage]] = collections.defaultdict(list)
        self.counts: collections.Counter = collections.Counter()

    def fingerprints(self, image_set: ImageSet) -> Iterator[Fingerprints]:
        for shard in image_set.shards:
            for part in fingerprint_shard(shard, image_set.reader, image_set.name, self._threshold):
                self.counts += report.count_images(part)
                for digest, image in labeled_images(part, self._comparable_sets):
                    self._labels[digest].append(image)
                self._progress(self.counts.total())
                yield part

    def find_conflicts(self) -> tuple[Conflict, ...]:
        """The groups of images with equal bytes and different labels, of all that was read."""
        found = itertools.chain.from_iterable(map(find_conflict, self._labels.items()))
        return tuple(sorted(found))


def _image_sets(train: Source, references: Sequence[Source]) -> list[ImageSet]:
    """All sets that are compared, training first, in the order of the report."""
    own = [image_sets.from_split(train, split) for split in train.splits]
    others = sorted(references, key=lambda source: source.spec)
    return [
        *sorted(own, key=lambda image_set: image_set.name != TRAIN),
        *map(image_sets.from_source, others),
    ]
