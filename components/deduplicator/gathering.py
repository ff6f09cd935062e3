# SPDX-License-Identifier: Apache-2.0
"""Gathers many small items in Beam, without a process that holds all of them."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterable
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import AsSingleton

from mixer_tf import storage
from mixer_tf.deduplication import sorted_files
from mixer_tf.deduplication.sorted_files import SortedFile, SortedItems

_Key = Callable[[Any], Any]


class SortIntoFiles(beam.PTransform):
    """Items → one `SortedItems` of all of them.

    Args:
        folder: a folder that all workers reach, for the files; whoever runs the pipeline removes
            it afterwards.
        name: what the names of the files start with.
        key: function of a module, from an item to its sort key; None for the item itself.
    """

    def __init__(self, folder: str, name: str, key: _Key | None = None):
        super().__init__()
        self._folder, self._name, self._key = folder, name, key

    def expand(self, items):
        number = items | "Count" >> beam.combiners.Count.Globally()
        return (
            items
            | "Key" >> beam.Map(_key_by_file, self._key, AsSingleton(number))
            | "Group" >> beam.GroupByKey()
            | "Write" >> beam.Map(_write, self._folder, self._name, self._key)
            | "All files" >> beam.combiners.ToList()
            | "Merge" >> beam.Map(_merge, self._key)
        )


def _key_by_file(item: Any, key: _Key | None, number: int) -> tuple[int, Any]:
    """The index of a file, which depends on the item alone."""
    text = repr(key(item) if key else item).encode("utf-8", "surrogatepass")
    return zlib.crc32(text) % sorted_files.count_files(number), item


def _write(
    group: tuple[int, Iterable[Any]], folder: str, name: str, key: _Key | None
) -> SortedFile:
    index, items = group
    storage.make_folder(folder)
    return sorted_files.write(os.path.join(folder, f"{name}-{index:05}"), items, key)


def _merge(files: list[SortedFile], key: _Key | None) -> SortedItems:
    return SortedItems(tuple(sorted(files, key=lambda file: file.path)), key)
