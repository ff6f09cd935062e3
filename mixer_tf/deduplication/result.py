# SPDX-License-Identifier: Apache-2.0
"""The result of a deduplication, of the library and of the component alike."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

from mixer_tf.deduplication import filtering, report, tally
from mixer_tf.deduplication.image_sets import Reader
from mixer_tf.deduplication.label_conflicts import Conflict
from mixer_tf.deduplication.modes import REMOVE
from mixer_tf.deduplication.options import DeduplicationOptions
from mixer_tf.deduplication.pair_page import page
from mixer_tf.deduplication.pairs import PairsOf
from mixer_tf.deduplication.removals import Removal
from mixer_tf.deduplication.tally import Tally


@dataclasses.dataclass(frozen=True)
class DeduplicationResult:
    """Which images are duplicates, and how that was found.

    Attributes:
        options: the options of the deduplication.
        removals: all training images that are duplicates, and all evaluation images that are
            duplicates of test images, also those that are kept because the labels differ or the
            user listed them, sorted by set and source; a tuple, or `SortedItems` that are read
            from files each time.
        counts: ("compared" or "unreadable", set name) → number of images.
        uniform_sets: names of the sets whose images all look alike.
        readers: name of each compared set → reader of its work items; training first.
        label_conflicts: likewise, the groups of images with equal bytes and different labels,
            sorted.
        leaked: name of an evaluation or test set → number of its images that have a duplicate in
            training; sets without one may be missing.
    """

    options: DeduplicationOptions
    removals: Collection[Removal]
    counts: Mapping[tuple[str, str], int]
    uniform_sets: tuple[str, ...]
    readers: Mapping[str, Reader]
    label_conflicts: Collection[Conflict] = ()
    leaked: Mapping[str, int] = MappingProxyType({})

    @property
    def removed(self) -> list[Removal]:
        """The removals that are carried out; empty where duplicates are only listed."""
        return filtering.select_removed(self.removals, self.options)

    @functools.cached_property
    def tally(self) -> Tally:
        """The numbers of all removals."""
        return tally.tally(self.removals, self.options.keep)

    @property
    def removed_classes(self) -> Mapping[tuple[str, str], int]:
        """(split, class name) → number of images that are removed."""
        return self.tally.classes if self.options.mode == REMOVE else {}

    def summary(self) -> dict[str, Any]:
        """Returns the content of `report.json`; see `report.summarize`."""
        return report.summarize(
            self.tally,
            self.options,
            self.counts,
            list(self.readers),
            self.uniform_sets,
            self.leaked,
        )

    def write(
        self, folder: str, page_name: str = page.FILE_NAME, listing: str = report.PAIRS
    ) -> None:
        """Writes `report.json`, `pairs.jsonl`, `label_conflicts.jsonl` and the page.

        Args:
            folder: the folder to write to.
            page_name: the name of the page.
            listing: the file, beside the page, that lists all pairs.
        """
        summary = self.summary()
        report.write(folder, summary, self.removals, self.label_conflicts)
        pairs = PairsOf(self.removals, self.options)
        page.write(
            folder,
            summary,
            pairs,
            self.readers,
            self.label_conflicts,
            file_name=page_name,
            listing=listing,
        )
