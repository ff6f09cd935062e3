# SPDX-License-Identifier: Apache-2.0
"""Large sets of images in blocks, so that no process holds all of them.

The matches are those of one set, but that each block keeps its own most similar candidates of an
image: of many look-alikes, more are compared.

All images with equal bytes are in one block, because they are represented by few of them; see
`EqualImages`.
"""

from __future__ import annotations

import bisect
import collections
from collections.abc import Iterator

import numpy as np

from mixer_tf.deduplication.fingerprints import Fingerprints, sort_key
from mixer_tf.deduplication.matching import Match, find_matches

# Mean number of images of a block; at 16.1 kB each, a block has 132 MB, and 157 MB when its images
# were compared.
BLOCK_SIZE = 8_192
# Images that are compared with a block at a time.
_QUERIES = 1024


def count_blocks(num_images: int) -> int:
    """Returns how many blocks a set of images has; at least one."""
    return max(1, -(-num_images // BLOCK_SIZE))


def split(images: Fingerprints, num_blocks: int) -> Iterator[tuple[int, Fingerprints]]:
    """Yields (index of the block, its images), in the order of the images."""
    indices = collections.defaultdict(list)
    for index, digest in enumerate(images.digests):
        indices[int.from_bytes(digest[-8:], "big") % num_blocks].append(index)
    for block, found in indices.items():
        yield block, images.take(found)


def find_in_block(images: Fingerprints, block: Fingerprints) -> Iterator[Match]:
    """Yields the duplicates of some images in a block that contains none of them."""
    for start in range(0, len(images), _QUERIES):
        yield from find_matches(images.slice(start, start + _QUERIES), block)


def find_within(first: Fingerprints, second: Fingerprints) -> Iterator[Match]:
    """Yields the pairs of an image of two blocks of one set and an earlier image of the other one.

    Args:
        first: a block, in the order of `fingerprints.sort_key`.
        second: another block of the same set, or the same object for the pairs within it.
    """
    yield from _find_earlier(first, second)
    if first is not second:
        yield from _find_earlier(second, first)


def _find_earlier(queries: Fingerprints, block: Fingerprints) -> Iterator[Match]:
    keys = [sort_key(image) for image in block.ids]
    limits = np.array([bisect.bisect_left(keys, sort_key(image)) for image in queries.ids], int)
    for start in range(0, len(queries), _QUERIES):
        indices = np.arange(start, min(start + _QUERIES, len(queries)))
        yield from find_matches(queries.take(indices), block, limits[indices])
