# SPDX-License-Identifier: Apache-2.0
"""Compares the images of a set with one another by blocks of fingerprints in files.

The fingerprints are written once, into a folder that all workers reach. A worker holds a few blocks
and reads others one after the other, so that no engine sends or sorts copies of them.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple

from mixer_tf import storage
from mixer_tf.deduplication import blocks
from mixer_tf.deduplication.fingerprints import Fingerprints
from mixer_tf.deduplication.matching import Match

# Blocks that a worker holds, and that it reads for them, at most. Each block is read by
# N / 2 * (1 / HELD + 1 / READ) workers, where N is the number of blocks.
HELD, READ = 2, 16
# Of few blocks, a worker compares fewer, so that there are workers enough: a hundred or more where
# there are more blocks than this, and a worker for each pair of blocks where there are fewer.
_FEW_BLOCKS = 8


class Tile(NamedTuple):
    """The work of one worker: the pairs of a block that is held and one that is not before it.

    Attributes:
        held: numbers of the blocks that are held, ascending.
        read: numbers of the blocks that are compared with each of them, ascending.
    """

    held: tuple[int, ...]
    read: tuple[int, ...]

    @property
    def num_files(self) -> int:
        """The number of blocks that are read, each once."""
        return len({*self.held, *self.read})


def list_tiles(numbers: Collection[int]) -> list[Tile]:
    """Returns tiles that together have each pair of blocks, and each block with itself, once.

    Args:
        numbers: the numbers of all blocks, in any order.
    """
    ordered = sorted(numbers)
    most_read = min(READ, 1 + len(ordered) // _FEW_BLOCKS)
    most_held = min(HELD, most_read)
    return [
        Tile(_part(ordered, start, most_held), _part(ordered, first, most_read))
        for start in range(0, len(ordered), most_held)
        for first in range(start, len(ordered), most_read)
    ]


def find_within(tile: Tile, read: Callable[[int], Fingerprints]) -> Iterator[Match]:
    """Yields the pairs of an image and an earlier one of the blocks of a tile.

    Args:
        tile: the blocks.
        read: number of a block → its images, in the order of `fingerprints.sort_key`.
    """
    held = {number: read(number) for number in tile.held}
    for number in tile.read:
        block = held[number] if number in held else read(number)
        for other in tile.held:
            if other <= number:
                yield from blocks.find_within(held[other], block)


def write_block(folder: str, number: int, images: Fingerprints) -> int:
    """Writes a block to a folder, which is created; returns the number of bytes.

    Two workers may write the same block at the same time.
    """
    storage.make_folder(folder)
    path = _path(folder, number)
    with storage.open_new(path) as file:
        pickle.dump(images, file, protocol=5)
    return storage.file_size(path)


def read_block(folder: str, number: int) -> tuple[Fingerprints, int]:
    """Reads a block that this run has written, and its number of bytes."""
    content = storage.read_bytes(_path(folder, number))
    return pickle.loads(content), len(content)


def _path(folder: str, number: int) -> str:
    return os.path.join(folder, f"block-{number:06}")


def _part(ordered: Sequence[int], start: int, size: int) -> tuple[int, ...]:
    return tuple(ordered[start : start + size])
