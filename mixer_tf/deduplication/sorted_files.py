# SPDX-License-Identifier: Apache-2.0
"""Many items in sorted files, which are merged as they are read: no process holds all of them."""

from __future__ import annotations

import contextlib
import dataclasses
import heapq
import pickle
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from mixer_tf import storage

# Items of one file, which are sorted in memory; and files that are read at the same time, so that
# of more items than 50 million, files have more.
_FILE_ITEMS, _MAX_FILES = 50_000, 1_000


@dataclasses.dataclass(frozen=True)
class SortedFile:
    """A file that `write` has written, and the number of its items."""

    path: str
    num_items: int


@dataclasses.dataclass(frozen=True)
class SortedItems:
    """All items of several files, in order; they can be read several times.

    Attributes:
        files: the files.
        key: the sort key that the files were written with; None for the items themselves.
    """

    files: tuple[SortedFile, ...]
    key: Callable[[Any], Any] | None = None

    def __len__(self) -> int:
        return sum(file.num_items for file in self.files)

    def __iter__(self) -> Iterator[Any]:
        with contextlib.ExitStack() as stack:
            parts = [
                _read(stack.enter_context(storage.open_existing(file.path)), file.num_items)
                for file in self.files
            ]
            yield from heapq.merge(*parts, key=self.key)


def count_files(num_items: int) -> int:
    """Returns to how many files items should be distributed."""
    return min(_MAX_FILES, 1 + num_items // _FILE_ITEMS)


def write(path: str, items: Iterable[Any], key: Callable[[Any], Any] | None = None) -> SortedFile:
    """Sorts items in memory, and writes them; the folder of the path exists."""
    ordered = sorted(items, key=key)
    with storage.open_new(path) as file:
        for item in ordered:
            file.write(pickle.dumps(item))
    return SortedFile(path, len(ordered))


def _read(file, num_items: int) -> Iterator[Any]:
    for _ in range(num_items):
        yield pickle.load(file)
