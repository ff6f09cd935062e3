# SPDX-License-Identifier: Apache-2.0
"""Leaves the images of a user's list out of a source, such as `removed.txt` of `mixer dedup`.

The other images keep their splits. Counts and mistakes become notes of the source, before any image
is read.
"""

from __future__ import annotations

import collections
import dataclasses
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from mixer_tf import storage
from mixer_tf.datasets import image_lists
from mixer_tf.datasets.sources.source import Source
from mixer_tf.features import SPLITS, ImageRecord
from mixer_tf.messages import printable, without_credentials

OPTION = "--exclude"
FILE_NAME = "excluded.txt"
_HEADER = "# Images that were left out of the source; use it with --exclude=FILE."
_NUMBERED = re.compile(rf"({'|'.join(SPLITS)}):([0-9]+):(.+)", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class ExcludingReader:
    """Reads the work items of another reader without the excluded images.

    Attributes:
        reader: the other reader.
        sources: the paths or ids of the excluded images, as the records have them.
        indices: work item → indices of further excluded images, whose ids other images have too.
    """

    reader: Callable[[Any], Iterator[ImageRecord]]
    sources: frozenset[str]
    indices: Mapping[Any, frozenset[int]] = dataclasses.field(default_factory=dict, hash=False)

    def __call__(self, shard: Any) -> Iterator[ImageRecord]:
        records = self.reader(shard)
        return self.kept(shard, ((record.source, record) for record in records))

    def kept(self, shard: Any, images: Iterable[tuple[str, Any]]) -> Iterator[Any]:
        """Yields what belongs to the images of a work item that are not excluded.

        Args:
            shard: the work item.
            images: path or id of each image of it, in order, and what belongs to the image.
        """
        excluded = self.indices.get(shard, ()) if self.indices else ()
        for index, (source, value) in enumerate(images):
            if source not in self.sources and index not in excluded:
                yield value


def numbered_name(split: str, number: int, name: str) -> str:
    """Returns a line that excludes one image, although others have the same path or id.

    Args:
        split: the split of the image.
        number: its index among all images of the split, in their order, from 0.
        name: its path, relative to the source, or id. If the image at the index has another one,
            the line names none: the source has changed.
    """
    return f"{split}:{number}:{name}"


def exclude_listed(source: Source, path: str | None) -> Source:
    """Returns the source without the images that a file lists, in every split.

    A line of the file is the id of an image, its path relative to the folder of the source, or its
    absolute path; see `image_lists.read`. If several images have the same id, a line excludes all
    of them; for one of them, see `numbered_name`.

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
    reader = ExcludingReader(source.reader, frozenset(found.counts), found.frozen_indices())
    lines = sorted([*found.counts, *found.numbered])
    return dataclasses.replace(
        source,
        reader=reader,
        image_ids=lambda shard: reader.kept(shard, ((image, image) for image in source.ids(shard))),
        file_signatures=lambda: [*source.file_signatures(), *lines],
        notes=(*source.notes, *_notes(source, found, names)),
        excluded=source.excluded | {*map(source.relative_name, found.counts), *found.numbered},
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
        numbered: the lines with a number that name an image.
        indices: work item → indices of the images that these name, and no other line.
    """

    counts: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    images: dict[str, set[str]] = dataclasses.field(default_factory=dict)
    numbered: set[str] = dataclasses.field(default_factory=set)
    indices: dict[Any, set[int]] = dataclasses.field(default_factory=dict)

    def num_images(self) -> int:
        """The number of excluded images."""
        return self.counts.total() + sum(map(len, self.indices.values()))

    def frozen_indices(self) -> dict[Any, frozenset[int]]:
        return {shard: frozenset(indices) for shard, indices in self.indices.items()}


def _find(source: Source, names: frozenset[str]) -> _Found:
    found, numbered = _Found(), _numbered_lines(names)
    for split in source.splits:
        before, num_images = found.num_images(), 0
        for shard in source.shards_of(split):
            for index, image in enumerate(source.ids(shard)):
                lines = _lines_naming(image, source, numbered.get((split, num_images), {}))
                num_images += 1
                found.numbered.update(lines)
                if not _find_lines(image, source, names, found) and lines:
                    found.indices.setdefault(shard, set()).add(index)
        if num_images and found.num_images() - before == num_images:
            raise ValueError(
                f"{OPTION} must leave at least one image in each split of {source.spec}; it lists "
                f"all {num_images:,} of {split}. Take some lines out, or use another {split} split."
            )
    return found


def _numbered_lines(names: Iterable[str]) -> dict[tuple[str, int], dict[str, str]]:
    """Split and number → each line of `numbered_name` that has them → the path or id in it."""
    lines = collections.defaultdict(dict)
    for match in filter(None, map(_NUMBERED.fullmatch, names)):
        lines[match[1], int(match[2])][match[0]] = match[3]
    return lines


def _lines_naming(image: str, source: Source, lines: Mapping[str, str]) -> list[str]:
    """The lines, each with the path or id in it, that name an image."""
    found = _names_of(image, source) if lines else ()
    return [line for line, name in lines.items() if name in found]


def _find_lines(image: str, source: Source, names: frozenset[str], found: _Found) -> bool:
    """Notes the lines that name an image by its path or id; returns whether there are any."""
    lines = names.intersection(_names_of(image, source))
    found.counts.update([image] if lines else [])
    for line in lines:
        found.images.setdefault(line, set()).add(image)
    return bool(lines)


def _names_of(image: str, source: Source) -> set[str]:
    """What a line may call an image: as it is, and as reports show it."""
    names = {source.relative_name(image)}
    if source.root is not None:
        names.add(image if storage.is_remote(image) else os.path.abspath(image))
    return names | {printable(without_credentials(name)) for name in names}


def _notes(source: Source, found: _Found, names: frozenset[str]) -> Iterator[str]:
    if found.num_images():
        yield f"images excluded by {OPTION}: {found.num_images():,}"
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
    missing = sorted(names - found.images.keys() - found.numbered)
    if missing:
        where = (
            "" if source.root is None else "; a path must be absolute, or relative to the source"
        )
        yield (
            f"lines of {OPTION} that name no image of {source.spec}: {len(missing):,}, such as "
            f"{printable(missing[0])!r}{where}"
        )
