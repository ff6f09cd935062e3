# SPDX-License-Identifier: Apache-2.0
"""Finds all pairs of a comparison with several processes; what is finished is stored.

The test images are read first. Then each work item of the training images is read and compared with
them, so that only the test images are held in the memory of every process: about 20 kilobytes each.
With `within_train`, the training images are as well, after that. This process puts the images of
both together, for which it needs twice their fingerprints, about 32 kilobytes for each image.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from typing import TypeVar

from mixer_tf import workers
from mixer_tf.deduplication.fingerprints import ImageId
from mixer_tf.deduplication.gallery import Gallery, list_blocks, list_evaluation_blocks
from mixer_tf.deduplication.matching import Match
from mixer_tf.deduplication.standalone.comparison import Comparison
from mixer_tf.deduplication.standalone.store import OTHERS, TESTS, WITHIN, Found, Item, Job, Store
from mixer_tf.features import TRAIN

# What is done, number of finished and of all parts.
Progress = Callable[[str, int, int], None]
Task = TypeVar("Task", Item, Job)


@dataclasses.dataclass(frozen=True)
class Search:
    """A finished search, whose pairs are read from the disk one work item after another.

    Attributes:
        store: where they are stored.
        items: all work items, training last.
        jobs: all comparisons; those within training come last, in the order of their images.
        galleries: key → the images of a gallery, in its order.
        digests: key → their digests.
        unreadable: set name → number of images that cannot be decoded, without training.
        uniform_sets: names of the sets whose images all look alike.
        test_gallery: key of the gallery of all sets but training.
    """

    store: Store
    items: tuple[Item, ...]
    jobs: tuple[Job, ...]
    galleries: dict[str, tuple[ImageId, ...]]
    digests: dict[str, tuple[bytes, ...]]
    unreadable: dict[str, int]
    uniform_sets: tuple[str, ...]
    test_gallery: str

    def matches(self, job: Job) -> tuple[Found, list[Match]]:
        """Returns what a job has found, by itself and as matches."""
        found, gallery = self.store.matches(job), self.galleries[job.gallery]
        matches = [
            Match(self._image(job, found, row), gallery[column], distance, reason)
            for row, column, distance, reason in found.pairs
        ]
        return found, matches

    def _image(self, job: Job, found: Found, row: int) -> ImageId:
        if job.item is None:
            return self.galleries[job.gallery][row]
        source, class_name, index = found.ids[row]
        return ImageId(job.item.set_name, source, class_name, job.item.number, index)

    def count_tests(self) -> collections.Counter:
        """Returns ("compared" or "unreadable", set name) → number of images, without training."""
        counts = collections.Counter(
            ("compared", image.set_name) for image in self.galleries[self.test_gallery]
        )
        counts.update({("unreadable", name): count for name, count in self.unreadable.items()})
        return counts


def search(comparison: Comparison, folder: str, processes: int, progress: Progress) -> Search:
    """Reads and compares all images, as far as that is not stored.

    Args:
        comparison: what is compared.
        folder: where the files of finished work items are.
        processes: the number of processes.
        progress: called for each finished part with what is done, the number of finished parts, and
            that of all parts.

    Raises:
        RuntimeError: a worker process was killed.
    """
    readers = {each.name: each.source.reader for each in comparison.sets}
    store = Store(folder, readers, comparison.options.threshold)
    items = comparison.items()
    tests = [item for item in items if item.set_name != TRAIN]
    train = [item for item in items if item.set_name == TRAIN]
    run = _Run(store, processes, progress)
    run.fingerprint("reading the images to compare with", tests)
    key, gallery = store.gallery(tests)
    jobs = [Job(TESTS, key, start=start) for start in list_evaluation_blocks(gallery)]
    jobs += [Job(OTHERS, key, item) for item in train]
    run.compare("comparing training images", jobs)
    galleries = {key: gallery}
    if comparison.options.within_train:
        within_key, within = store.gallery(train)
        galleries[within_key] = within
        within_jobs = [Job(WITHIN, within_key, start=start) for start in list_blocks(within)]
        run.compare("comparing training images with each other", within_jobs)
        jobs += within_jobs
    return _finished(store, items, jobs, galleries, key)


def _finished(
    store: Store, items: list[Item], jobs: list[Job], galleries: dict[str, Gallery], key: str
) -> Search:
    return Search(
        store=store,
        items=tuple(items),
        jobs=tuple(jobs),
        galleries={key: gallery.images.ids for key, gallery in galleries.items()},
        digests={key: gallery.images.digests for key, gallery in galleries.items()},
        unreadable=dict(galleries[key].images.unreadable),
        uniform_sets=tuple(n for gallery in galleries.values() for n in gallery.uniform_sets),
        test_gallery=key,
    )


@dataclasses.dataclass(frozen=True)
class _Run:
    store: Store
    processes: int
    progress: Progress

    def fingerprint(self, title: str, items: Sequence[Item]) -> None:
        missing = [item for item in items if not self.store.has_fingerprints(item)]
        self._work(title, _fingerprint, missing)

    def compare(self, title: str, jobs: Sequence[Job]) -> None:
        missing = [job for job in jobs if not self.store.has_matches(job)]
        self._work(title, _compare, missing)

    def _work(self, title: str, function: Callable[[Store, Task], None], tasks: list[Task]) -> None:
        results = workers.run(function, self.store, tasks, self.processes)
        with contextlib.closing(results):
            for number, _ in enumerate(results, start=1):
                self.progress(title, number, len(tasks))


def _fingerprint(store: Store, item: Item) -> None:
    store.files(item)


def _compare(store: Store, job: Job) -> None:
    store.matches(job)
