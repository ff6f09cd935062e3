# SPDX-License-Identifier: Apache-2.0
"""pairs.csv: every pair of duplicates, one row each, written as the pairs are found."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Callable, Iterator, Mapping

from mixer_tf import storage
from mixer_tf.datasets.sources.source import Source
from mixer_tf.deduplication.fingerprints import ImageId
from mixer_tf.deduplication.matching import Match
from mixer_tf.messages import printable, spreadsheet_cell

FILE_NAME = "pairs.csv"
COLUMNS = (
    *("train", "against_set", "against", "distance", "rule"),
    *("split", "train_class", "against_class"),
)


@contextlib.contextmanager
def writing(path: str, sources: Mapping[str, Source]) -> Iterator[Callable[[Match], None]]:
    """Yields a function that adds a row; the file appears when the block succeeds.

    The column `split` is "eval" for an evaluation image that is a duplicate of a test image, and
    "train" for all others. Paths are relative to the source of their set.

    Args:
        path: path of the file; an existing one is replaced.
        sources: set name → the source of its images.
    """

    def name(image: ImageId) -> str:
        return printable(sources[image.set_name].relative_name(image.source))

    with (
        storage.replacing(path) as partial,
        open(partial, "w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)

        def add(match: Match) -> None:
            image, other = match.image, match.other
            pair = (name(image), other.set_name, name(other), f"{match.distance:.4f}", match.reason)
            labels = (image.set_name, printable(image.class_name), printable(other.class_name))
            writer.writerow(map(spreadsheet_cell, (*pair, *labels)))

        yield add
