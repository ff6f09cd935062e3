# SPDX-License-Identifier: Apache-2.0
"""What finished work items leave on disk: their fingerprints, and their matches.

A file is named by the state of its data, the code and the options, so a later run uses what is
still valid and computes the rest.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import hashlib
import itertools
import json
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from mixer_tf import storage
from mixer_tf.deduplication import gallery as galleries
from mixer_tf.deduplication.fingerprints import (
    Fingerprints,
    ImageId,
    concatenate,
    fingerprint_shard,
)
from mixer_tf.deduplication.gallery import Gallery
from mixer_tf.deduplication.image_sets import Reader
from mixer_tf.deduplication.matching import Match
from mixer_tf.deduplication.standalone import fingerprint_files

_PROJECT = pathlib.Path(__file__).parents[2]
# What decides the content of the files: methods, decoding, and how sources are read.
_CODE = ("deduplication", "images", "datasets", "features.py")

# Parts of fingerprints that a file holds, of 128 images each: a work item, such as a TFRecord file,
# may have any number of images.
_PARTS_OF_FILE = 32

# With the other sets, of evaluation images with test images, and within training.
OTHERS, TESTS, WITHIN = "others", "tests", "within"


@dataclasses.dataclass(frozen=True)
class Item:
    """A work item of one set.

    Attributes:
        number: its number among all of this run; the `work_item` of the ids of its images.
        set_name: "train", "eval", "test", or the name of another set.
        work_item: what the reader of the set reads.
        key: what names its files; see `make_key`.
    """

    number: int
    set_name: str
    work_item: Any
    key: str


@dataclasses.dataclass(frozen=True)
class Job:
    """A comparison of some images with a gallery.

    Attributes:
        kind: `OTHERS`, `TESTS` or `WITHIN`.
        gallery: key of the gallery.
        item: the images of `OTHERS`; None for images of the gallery itself.
        start: the first image of a block of the gallery.
    """

    kind: str
    gallery: str
    item: Item | None = None
    start: int = 0

    @property
    def key(self) -> str:
        """What names its file."""
        return make_key([self.kind, self.gallery, self.item.key if self.item else "", self.start])


@dataclasses.dataclass(frozen=True)
class Found:
    """The matches of one job.

    Attributes:
        counts: "compared" and "unreadable" → number of images; empty for images of a gallery.
        ids: row → source, class name and index of an image that has matches; empty for images of a
            gallery.
        pairs: row, index in the gallery, distance and reason of each match.
    """

    counts: Mapping[str, int]
    ids: Mapping[int, tuple[str, str, int]]
    pairs: tuple[tuple[int, int, float, str], ...]


@dataclasses.dataclass(frozen=True)
class Store:
    """Computes fingerprints and matches, unless they are stored.

    Attributes:
        folder: the folder of the files.
        readers: set name → reader of its work items.
        threshold: the threshold for photographs.
    """

    folder: str
    readers: Mapping[str, Reader]
    threshold: float

    def path(self, key: str, suffix: str) -> str:
        """Returns the path of a file, in one of 256 folders."""
        return os.path.join(self.folder, key[:2], key + suffix)

    def has_fingerprints(self, item: Item) -> bool:
        return self._count_files(item) is not None

    def has_matches(self, job: Job) -> bool:
        return os.path.exists(self.path(job.key, ".json"))

    def fingerprints(self, item: Item) -> Iterator[Fingerprints]:
        """Yields the fingerprints of a work item, up to 4,096 images at a time, and stores them."""
        for index in range(self._count_files(item) or 0):
            found = fingerprint_files.read(self._file(item, index), item.number)
            if found is None:
                yield from itertools.islice(self._make_fingerprints(item), index, None)
                return
            yield found
        if not self.has_fingerprints(item):
            yield from self._make_fingerprints(item)

    def files(self, item: Item) -> list[str]:
        """Returns the paths of the files of the fingerprints of a work item, which are made."""
        if not self.has_fingerprints(item):
            for _ in self._make_fingerprints(item):
                pass
        return [self._file(item, index) for index in range(self._count_files(item))]

    def read_files(self, item: Item, read: Callable[[str], Any]) -> list[Any]:
        """Returns what a function reads from each file of a work item.

        Args:
            item: the work item.
            read: path → what is read; None if the file is damaged.
        """
        found = [*map(read, self.files(item))]
        if any(each is None for each in found):
            for _ in self.fingerprints(item):  # which makes damaged files again
                pass
            found = [*map(read, self.files(item))]
        return found

    def gallery(self, items: Iterable[Item]) -> tuple[str, Gallery]:
        """Makes the gallery of all images of some work items; returns its key and itself."""
        items = list(items)
        parts = itertools.chain.from_iterable(map(self.fingerprints, items))
        found = galleries.make_gallery(parts)
        key = make_key([(item.set_name, item.number, item.key) for item in items])
        self._write(self.path(key, ".npz"), found.images)
        return key, found

    def matches(self, job: Job) -> Found:
        """Returns the matches of a job, and stores them."""
        path = self.path(job.key, ".json")
        found = _read_matches(path)
        if found is None:
            found = self._find_matches(job)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with storage.replacing(path, concurrent=True) as partial:
                text = json.dumps(dataclasses.asdict(found))
                pathlib.Path(partial).write_text(text, encoding="ascii")
        return found

    def _make_fingerprints(self, item: Item) -> Iterator[Fingerprints]:
        reader = _NumberedReader(self.readers[item.set_name], item.work_item)
        parts = fingerprint_shard(item.number, reader, item.set_name, self.threshold)
        number = 0
        while (group := [*itertools.islice(parts, _PARTS_OF_FILE)]) or not number:
            found = concatenate(group)
            self._write(self._file(item, number), found)
            number += 1
            yield found
        with storage.replacing(self.path(item.key, ".count"), concurrent=True) as partial:
            pathlib.Path(partial).write_text(json.dumps({"files": number}), encoding="ascii")

    def _count_files(self, item: Item) -> int | None:
        """The number of files of a work item, at least 1; None if they are not complete."""
        try:
            text = pathlib.Path(self.path(item.key, ".count")).read_text("ascii")
            return json.loads(text)["files"]
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _file(self, item: Item, index: int) -> str:
        return self.path(item.key, f"-{index}.npz")

    def _write(self, path: str, images: Fingerprints) -> None:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        fingerprint_files.write(path, images)

    def _find_matches(self, job: Job) -> Found:
        gallery, columns = _open_gallery(self.path(job.gallery, ".npz"))
        if job.item is None:
            find = galleries.find_in_tests if job.kind == TESTS else galleries.find_within
            matches = find(job.start, gallery)
            return Found({}, {}, tuple(_pairs(matches, columns, columns)))
        counts, ids, pairs = collections.Counter(), {}, []
        for images in self.fingerprints(job.item):
            first = counts["compared"]
            rows = {image: row for row, image in enumerate(images.ids, first)}
            found = [*_pairs(galleries.find_in_gallery(images, gallery), rows, columns)]
            rows = sorted({pair[0] for pair in found})
            ids |= {row: _describe(images.ids[row - first]) for row in rows}
            pairs += found
            counts.update(compared=len(images), unreadable=images.unreadable.total())
        return Found(dict(counts), ids, tuple(pairs))


def make_key(parts: Iterable[object]) -> str:
    """Returns 40 hexadecimal digits that depend on all parts."""
    text = json.dumps([str(part) for part in parts])
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:40]


@functools.cache
def code_version() -> str:
    """Returns a digest of the code and the libraries that decide what is stored."""
    import numpy
    import PIL

    digest = hashlib.sha256(f"{numpy.__version__} {PIL.__version__}".encode())
    for name in _CODE:
        path = _PROJECT / name
        for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
            digest.update(str(file.relative_to(_PROJECT)).encode() + file.read_bytes())
    return digest.hexdigest()


@dataclasses.dataclass(frozen=True)
class _NumberedReader:
    """Reads one work item, whatever its number is."""

    reader: Reader
    work_item: Any

    def __call__(self, number: int) -> Iterable:
        return self.reader(self.work_item)


@functools.lru_cache(maxsize=1)
def _open_gallery(path: str) -> tuple[Gallery, dict[ImageId, int]]:
    """The gallery of this process, and the index of each of its images."""
    images = fingerprint_files.read(path)
    if images is None:
        raise ValueError(f"{path} must not change during the run; it did. Start it again.")
    return Gallery(images, ()), {image: index for index, image in enumerate(images.ids)}


def _pairs(
    matches: Iterable[Match], rows: Mapping[ImageId, int], columns: Mapping[ImageId, int]
) -> Iterator[tuple[int, int, float, str]]:
    for match in matches:
        yield rows[match.image], columns[match.other], match.distance, match.reason


def _describe(image: ImageId) -> tuple[str, str, int]:
    return image.source, image.class_name, image.index


def _read_matches(path: str) -> Found | None:
    """The content of a file; None if there is none, or it is damaged."""
    try:
        stored = json.loads(pathlib.Path(path).read_text(encoding="ascii"))
        ids = {
            int(row): (str(s), str(c), int(index)) for row, (s, c, index) in stored["ids"].items()
        }
        pairs = tuple((int(r), int(c), float(d), str(why)) for r, c, d, why in stored["pairs"])
        return Found(collections.Counter(stored["counts"]), ids, pairs)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
