# SPDX-License-Identifier: Apache-2.0
"""Decides by the pairs of a search, and writes pairs.csv, removed.txt and the report.

Pairs are read and written one work item after another; what stays in memory are the images that are
duplicates, one pair for each.
"""

from __future__ import annotations

import collections
import dataclasses
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping

from mixer_tf import storage
from mixer_tf.datasets import image_lists
from mixer_tf.deduplication import removals as decisions
from mixer_tf.deduplication.fingerprints import ImageId
from mixer_tf.deduplication.image_sets import Reader
from mixer_tf.deduplication.leaks import LeakFinder
from mixer_tf.deduplication.matching import Match
from mixer_tf.deduplication.modes import REMOVE
from mixer_tf.deduplication.removals import Removal
from mixer_tf.deduplication.result import DeduplicationResult
from mixer_tf.deduplication.standalone import output, pair_table
from mixer_tf.deduplication.standalone.comparison import Comparison
from mixer_tf.deduplication.standalone.conflicts import find_conflicts
from mixer_tf.deduplication.standalone.image_names import ImageNames, find_names
from mixer_tf.deduplication.standalone.output import OutputFolder
from mixer_tf.deduplication.standalone.search import Search
from mixer_tf.deduplication.standalone.store import WITHIN, Item
from mixer_tf.features import TRAIN, ImageRecord
from mixer_tf.messages import printable

# The report has this name in the pipeline.
_HEADER = """# Images that `mixer dedup` found to be duplicates; leave them out with --exclude=FILE.
# Paths are relative to {spec}
"""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a comparison has found.

    Attributes:
        result: the decisions, as of the pipeline.
        num_pairs: the number of all pairs, the rows of pairs.csv.
        num_numbered: number of duplicates whose id other images of the source have as well; they
            are named by `excluded_images.numbered_name`.
        unused_keep: the lines of the list of images to keep that name no duplicate, sorted.
        keep_several: those that name several duplicates, sorted.
    """

    result: DeduplicationResult
    num_pairs: int
    num_numbered: int = 0
    unused_keep: tuple[str, ...] = ()
    keep_several: tuple[str, ...] = ()


def write_results(search: Search, comparison: Comparison, folder: OutputFolder) -> Outcome:
    """Writes all files of the folder, each of them completely or not at all."""
    sources = {each.name: each.source for each in comparison.sets}
    names = find_names(search.store, comparison, search.items)
    with pair_table.writing(folder.path(pair_table.FILE_NAME), sources) as add_row:
        found = _Decisions(comparison, search, names)
        for job in search.jobs:
            found.add(job, add_row)
    removals = decisions.in_order(found.removals)
    result = DeduplicationResult(
        options=comparison.options,
        removals=tuple(map(names.rename_removal, removals)),
        counts=found.counts,
        uniform_sets=search.uniform_sets,
        readers=_readers(comparison, search.items),
        leaked=found.count_leaked(),
        label_conflicts=find_conflicts(search.store, search.items, comparison.comparable_sets()),
    )
    _write_list(result.removed, comparison, folder)
    _write_report(result, folder)
    uses = _count_uses(removals, names, comparison)
    return Outcome(
        result,
        found.num_pairs,
        num_numbered=sum(names.is_repeated(removal.match.image) for removal in removals),
        unused_keep=tuple(sorted(line for line, number in uses.items() if not number)),
        keep_several=tuple(sorted(line for line, number in uses.items() if number > 1)),
    )


def _count_uses(
    removals: Iterable[Removal], names: ImageNames, comparison: Comparison
) -> Mapping[str, int]:
    """Line of the list of images to keep → number of the duplicates that it names."""
    images = [removal.match.image for removal in removals]
    found = collections.Counter(
        name
        for image in images
        for name in {printable(image.source), printable(names.rename(image).source)}
    )
    lines = comparison.options.keep
    return {line: sum(found[name] for name in comparison.names_of_line(line)) for line in lines}


class _Decisions:
    """Collects the decisions and the counts, job by job.

    Attributes:
        removals: image → the decision, for each image that is a duplicate.
        counts: see `DeduplicationResult`.
        num_pairs: the number of pairs so far.
    """

    def __init__(self, comparison: Comparison, search: Search, names: ImageNames):
        self._search, self._names, self._lines = search, names, comparison.keep()
        self._keep: set[str | ImageId] = {*self._lines}
        self._comparable = comparison.comparable_sets()
        self._leaks = LeakFinder(
            search.galleries[search.test_gallery],
            search.digests[search.test_gallery],
            self._comparable,
            self._keep,
        )
        self.removals: dict[ImageId, Removal] = {}
        self.counts = search.count_tests()
        self.num_pairs = 0

    def add(self, job, add_row: Callable[[Match], None]) -> None:
        """Adds what one job has found, and writes its pairs."""
        found, matches = self._search.matches(job)
        self.counts.update({(what, TRAIN): number for what, number in found.counts.items()})
        self.num_pairs += len(matches)
        by_image = collections.defaultdict(list)
        for match in matches:
            by_image[match.image].append(match)
            add_row(self._names.rename_match(match))
        for image in by_image:
            if printable(self._names.rename(image).source) in self._lines:
                self._keep.add(image)
        add = decisions.add_within if job.kind == WITHIN else decisions.add_others
        add(self.removals, by_image, self._comparable, self._keep)
        self._leaks.add(matches)

    def count_leaked(self) -> Mapping[str, int]:
        """Name of a set → number of its images with a duplicate in training."""
        return self._leaks.find().counts


@dataclasses.dataclass(frozen=True)
class _ItemReader:
    """Reads the work items of one set by their numbers."""

    reader: Reader
    work_items: Mapping[int, object]

    def __call__(self, number: int) -> Iterable[ImageRecord]:
        return self.reader(self.work_items[number])


def _readers(comparison: Comparison, items: Iterable[Item]) -> dict[str, Reader]:
    by_set: dict[str, dict[int, object]] = collections.defaultdict(dict)
    for item in items:
        by_set[item.set_name][item.number] = item.work_item
    return {
        each.name: _ItemReader(each.source.reader, by_set[each.name]) for each in comparison.sets
    }


def _write_list(removed: Iterable[Removal], comparison: Comparison, folder: OutputFolder) -> None:
    """Writes removed.txt; without it, no list of another mode may stay."""
    path = folder.path(output.REMOVED)
    if comparison.options.mode != REMOVE:
        return
    train = comparison.train
    names = (train.relative_name(removal.match.image.source) for removal in removed)
    lines = "".join(f"{image_lists.to_line(name)}\n" for name in names)
    storage.write_text(path, _HEADER.format(spec=train.spec) + lines)


def _write_report(result: DeduplicationResult, folder: OutputFolder) -> None:
    """Writes the files that the pipeline writes; the page is called `report.html` here."""
    with tempfile.TemporaryDirectory(dir=folder.work) as temporary:
        result.write(temporary, page_name=output.PAGE, listing=pair_table.FILE_NAME)
        for name in os.listdir(temporary):
            os.replace(os.path.join(temporary, name), folder.path(name))
