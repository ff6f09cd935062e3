# SPDX-License-Identifier: Apache-2.0
"""Writes the page of a deduplication: all pairs, the least certain first.

It is one HTML file that loads nothing from elsewhere. The user's verdicts become a list for
`--keep-duplicates`.
"""

from __future__ import annotations

import heapq
import html
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from mixer_tf import storage
from mixer_tf.deduplication import previews
from mixer_tf.deduplication.fingerprints import ImageId, sort_key
from mixer_tf.deduplication.image_sets import Reader
from mixer_tf.deduplication.label_conflicts import Conflict
from mixer_tf.deduplication.pair_page import template
from mixer_tf.deduplication.pair_page.conflicts import conflicts_section
from mixer_tf.deduplication.pair_page.data import PageData
from mixer_tf.deduplication.pair_page.summary import (
    count,
    method,
    paragraphs,
    sets_table,
    summarize,
)
from mixer_tf.deduplication.pairs import Pair
from mixer_tf.messages import printable

FILE_NAME = "pairs.html"
# Bounds of the page: the most certain pairs beyond these are only in the list of all pairs.
MAX_ROWS, MAX_ROW_BYTES = 100_000, 24 * 2**20


def write(
    folder: str,
    summary: Mapping[str, Any],
    pairs: Iterable[Pair],
    readers: Mapping[str, Reader],
    conflicts: Collection[Conflict] = (),
    *,
    file_name: str = FILE_NAME,
    listing: str = "pairs.jsonl",
) -> None:
    """Writes the page, a file of at most about 90 MB whatever the number of pairs.

    Pairs are sorted by distance, the largest first. At most `MAX_ROWS` of them have a row, and at
    most `previews.MAX_PAIRS` have pictures; the page says how many are left out. Equal arguments
    give equal files.

    Args:
        folder: the folder to write to; it exists.
        summary: the content of `report.json`; see `report.summarize`. Where it has "leaked", set →
            number of its images with a duplicate in training, the page shows that; else a lower
            bound, the number of those in `pairs`.
        pairs: all pairs, which are read several times; those of one image follow each other. What
            is in memory are those that have a row.
        readers: set name → reader of the work items of that set; training first.
        conflicts: the groups of images with equal bytes and different labels, sorted.
        file_name: the name of the page.
        listing: the name of the file, beside the page, that lists all pairs.
    """
    counts = count(pairs)
    shown = _limit(heapq.nsmallest(MAX_ROWS, pairs, key=_least_certain_first))
    pictures = previews.read([(pair.image, pair.other) for pair in shown], readers)
    data = PageData(shown, _partly_shown(pairs, shown, counts.num_pairs), pictures)
    fields = {
        "summary": paragraphs(summarize(summary, counts, conflicts)),
        "sets": sets_table(summary, pairs),
        "method": method(summary),
        "left_out": paragraphs(_left_out(counts.num_pairs, shown, data, listing)),
        "conflicts": conflicts_section(conflicts),
        "listing": html.escape(listing),
        "data": data.to_json(),
    }
    storage.write_text(os.path.join(folder, file_name), template.fill(fields))


def _least_certain_first(pair: Pair) -> tuple:
    return -pair.distance, sort_key(pair.image), sort_key(pair.other)


def _partly_shown(pairs: Iterable[Pair], shown: Sequence[Pair], num_pairs: int) -> set[ImageId]:
    """The images of shown pairs that also have pairs that are left out."""
    if len(shown) == num_pairs:
        return set()
    images, rows = {pair.image for pair in shown}, set(shown)
    return {pair.image for pair in pairs if pair.image in images and pair not in rows}


def _limit(pairs: Sequence[Pair]) -> list[Pair]:
    """The first pairs, as many as may have a row."""
    num_bytes = 0
    for index, pair in enumerate(pairs):
        texts = (pair.image.source, pair.image.class_name, pair.other.source, pair.other.class_name)
        num_bytes += sum(len(template.to_json(printable(text)).encode()) for text in texts) + 60
        if num_bytes > MAX_ROW_BYTES:
            return list(pairs[:index])
    return list(pairs)


def _left_out(num_pairs: int, shown: Sequence[Pair], data: PageData, listing: str) -> list[str]:
    """What the page does not show, if anything."""
    lines = []
    if len(shown) < num_pairs:
        lines.append(
            f"The {num_pairs - len(shown):,} most certain of {num_pairs:,} pairs are left out; "
            f"{listing} lists all."
        )
    if data.num_pictured < len(shown):
        lines.append(
            f"{data.num_pictured:,} of {len(shown):,} pairs have pictures, the least certain ones; "
            "the others would make the page too large."
        )
    return lines
