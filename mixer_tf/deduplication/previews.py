# SPDX-License-Identifier: Apache-2.0
"""Pictures of pairs for the page of a deduplication, within bounds of number, bytes and reading."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from mixer_tf.deduplication.fingerprints import ImageId
from mixer_tf.deduplication.image_sets import Reader
from mixer_tf.features import ImageRecord
from mixer_tf.images import UnusableImageError, thumbnails

# At most so many pairs have pictures, which have so many bytes as base64 text.
MAX_PAIRS, MAX_BYTES = 10_000, 64 * 2**20
# At most so many images are read to find those that are shown: in a set of many millions, the
# pairs are spread over all of its files.
MAX_READ = 1_000_000
# The more pairs, the smaller the pictures: (number of pairs, side in pixels).
_SIZES = ((300, 320), (2_000, 160), (MAX_PAIRS, 80))

_Pair = tuple[ImageId, ImageId]
_WorkItem = tuple[str, Any]


def read(pairs: Sequence[_Pair], readers: Mapping[str, Reader]) -> dict[ImageId, bytes]:
    """Returns JPEGs of the images of the first pairs; each work item is read once.

    Args:
        pairs: the most important first.
        readers: set name → reader of the work items of that set.

    Returns:
        Image → JPEG, for at most `MAX_PAIRS` pairs. An image that cannot be read any more has none.
    """
    chosen = _choose(pairs)
    size = next(size for most, size in _SIZES if len(chosen) <= most)
    found = {}
    for (set_name, work_item), wanted in _by_work_item(chosen).items():
        records = itertools.islice(readers[set_name](work_item), max(wanted) + 1)
        for index, record in enumerate(records):
            if index in wanted and (jpeg := _preview(record, size)):
                found[wanted[index]] = jpeg
    return _within_bytes(chosen, found)


def _choose(pairs: Sequence[_Pair]) -> list[_Pair]:
    """The first pairs, without those for which too many other images would have to be read."""
    chosen, num_read = [], 0
    ends: dict[_WorkItem, int] = collections.defaultdict(int)
    for pair in pairs:
        needed: dict[_WorkItem, int] = {}
        for image in pair:
            item = image.set_name, image.work_item
            needed[item] = max(needed.get(item, ends[item]), image.index + 1)
        cost = sum(end - ends[item] for item, end in needed.items())
        if num_read + cost <= MAX_READ:
            num_read += cost
            ends.update(needed)
            chosen.append(pair)
        if len(chosen) == MAX_PAIRS:
            break
    return chosen


def _by_work_item(pairs: Sequence[_Pair]) -> dict[_WorkItem, dict[int, ImageId]]:
    found: dict[_WorkItem, dict[int, ImageId]] = collections.defaultdict(dict)
    for image in itertools.chain.from_iterable(pairs):
        found[image.set_name, image.work_item][image.index] = image
    return found


def _preview(record: ImageRecord, size: int) -> bytes | None:
    """The JPEG of a record; None if it cannot be decoded, as when a file has changed meanwhile."""
    try:
        return thumbnails.make_preview(record.encoded, size)
    except UnusableImageError:
        return None


def _within_bytes(pairs: Sequence[_Pair], found: Mapping[ImageId, bytes]) -> dict[ImageId, bytes]:
    """The pictures of the first pairs, as many as fit."""
    kept: dict[ImageId, bytes] = {}
    num_bytes = 0
    for pair in pairs:
        new = {image: found[image] for image in pair if image in found and image not in kept}
        num_bytes += sum(4 * -(-len(jpeg) // 3) for jpeg in new.values())
        if num_bytes > MAX_BYTES:
            break
        kept |= new
    return kept
