# SPDX-License-Identifier: Apache-2.0
"""Leaves the images of a user's list out of a source, such as `removed.txt` of `mixer dedup`.

The other images keep their splits. Counts and mistakes become notes of the source, before any image
is read.
"""

from __future__ import annotations

import collections
import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from mixer_tf import storage
from mixer_tf.datasets import image_lists
from mixer_tf.datasets.sources.source import Source
from mixer_tf.features import ImageRecord
from mixer_tf.messages import printable, without_credentials

OPTION = "--exclude"
FILE_NAME = "excluded.txt"
_HEADER = "# Images that were left out of the source; use it with --exclude=FILE."


@dataclasses.dataclass(frozen=True)
class ExcludingReader:
    """Reads the work items of another reader without the excluded images.

    Attributes:
        reader: the other reader.
        sources: the paths or ids of the excluded images, as the records have them.
    """

    reader: Callable[[Any], Iterator[ImageRecord]]
    sources: frozenset[str]

    def __call__(self, shard: Any) -> Iterator[ImageRecord]:
        return (record for record in self.reader(shard) if record.source not in self.sources)


def exclude_listed(source: Source, path: str | None) -> Source:
    """Returns the source without the images that a file lists, in every split.

    A line of the file is the id of an image, its path relative to the folder of the source, or its
    absolute path; see `image_lists.read`.

    Args:
        source: an open source.
        path: the file; None to exclude nothing.

    Raises:
        ValueError: the file is not a list of images, or no image of a split would be left.
    """
    if path is None:
        return source
    return exclude(source, image_lists.read(path, "a list of images to exclude"))


def exclude(source: Source, names: Iterable[str]) -> Source:
    """Returns the source without some images; `exclude_listed` says how they are named.

    Raises:
        ValueError: no image of a split would be left.
    """
    names = frozenset(names)
    found = _find(source, names)
    excluded = frozenset(found.counts)
    return dataclasses.replace(
        source,
        reader=ExcludingReader(source.reader, excluded),
        image_ids=lambda shard: (image for image in source.ids(shard) if image not in excluded),
        file_signatures=lambda: [*source.file_signatures(), *sorted(excluded)],
        notes=(*source.notes, *_notes(source, found, names)),
        excluded=source.excluded | set(map(source.relative_name, excluded)),
    )


def write(source: Source, folder: str) -> None:
    """Writes `excluded.txt`, the list of the images that were left out, for `exclude_listed`.

    There is no such file afterwards where none were.

    Args:
        source: an open source.
        folder: created if it does not exist.
    """
    path = os.path.join(folder, FILE_NAME)
    if not source.excluded:
        storage.remove_file(path)
        return
    names = sorted(map(without_credentials, source.excluded))
    storage.make_folder(folder)
    storage.write_text(path, "\n".join([_HEADER, *map(image_lists.to_line, names)]) + "\n")


@dataclasses.dataclass
class _Found:
    """What the lines name.

    Attributes:
        counts: path or id of each excluded image → number of images that have it.
        images: line → the paths or ids that it names.
    """

    counts: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    images: dict[str, set[str]] = dataclasses.field(default_factory=dict)


def _find(source: Source, names: frozenset[str]) -> _Found:
    found = _Found()
    for split in source.splits:
        before, num_images = found.counts.total(), 0
        for shard in source.shards_of(split):
            for image in source.ids(shard):
                num_images += 1
                _find_lines(image, source, names, found)
        if num_images and found.counts.total() - before == num_images:
            raise ValueError(
                f"{OPTION} must leave at least one image in each split of {source.spec}; it lists "
                f"all {num_images:,} of {split}. Take some lines out, or use another {split} split."
            )
    return found


def _find_lines(image: str, source: Source, names: frozenset[str], found: _Found) -> None:
    lines = names.intersection(_names_of(image, source))
    found.counts.update([image] if lines else [])
    for line in lines:
        found.images.setdefault(line, set()).add(image)


def _names_of(image: str, source: Source) -> set[str]:
    """What a line may call an image: as it is, and as reports show it."""
    names = {source.relative_name(image)}
    if source.root is not None:
        names.add(image if storage.is_remote(image) else os.path.abspath(image))
    return names | {printable(without_credentials(name)) for name in names}


def _notes(source: Source, found: _Found, names: frozenset[str]) -> Iterator[str]:
    if found.counts:
        yield f"images excluded by {OPTION}: {found.counts.total():,}"
    several = sorted(
        line
        for line, images in found.images.items()
        if sum(found.counts[image] for image in images) > 1
    )
    if several:
        yield (
            f"lines of {OPTION} that name several images, which are all excluded: "
            f"{len(several):,}, such as {several[0]!r}"
        )
    missing = sorted(names - found.images.keys())
    if missing:
        where = (
            "" if source.root is None else "; a path must be absolute, or relative to the source"
        )
        yield (
            f"lines of {OPTION} that name no image of {source.spec}: {len(missing):,}, such as "
            f"{printable(missing[0])!r}{where}"
        )
