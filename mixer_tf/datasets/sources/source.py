# SPDX-License-Identifier: Apache-2.0
"""Source: a dataset of any kind whose images are listed but not read yet."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from mixer_tf.features import SPLITS, ImageRecord


@dataclasses.dataclass(frozen=True)
class Source:
    """A dataset whose images are listed but not read yet.

    Attributes:
        spec: the specification that it was opened with, such as "folder:/data/pets".
        class_names: one name per label; index = label. Their order is that of
            `class_names.in_order`, unless the dataset has its own, as in TFDS or a `dataset.json`.
        shards: split → small picklable work items, each of which stands for some images.
        reader: work item → its images. Picklable and small, because it is sent to every worker.
        file_signatures: returns lines of text that change when the data changes.
        notes: one line per thing that a user should know, such as an empty class folder.
        root: the folder that the paths of images are below; None where images have ids instead.
        image_ids: work item → the paths or ids of its images, as its records have them, without
            reading it; None where it must be read. It stays in this process.
        excluded: the paths or ids of images that a user's list leaves out of it, relative to
            `root`; see `excluded_images`.
        data_dir: the folder of prepared TFDS datasets that it was opened with; None for the default
            of TFDS, and for sources of other kinds.
    """

    spec: str
    class_names: tuple[str, ...]
    shards: Mapping[str, Sequence[Any]]
    reader: Callable[[Any], Iterator[ImageRecord]]
    file_signatures: Callable[[], Iterable[str]]
    notes: tuple[str, ...] = ()
    root: str | None = None
    image_ids: Callable[[Any], Iterable[str]] | None = None
    excluded: frozenset[str] = frozenset()
    data_dir: str | None = None

    @property
    def name(self) -> str:
        """See `short_name`."""
        return short_name(self.spec)

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that have images, a subset of "train", "eval", "test"."""
        return tuple(split for split in SPLITS if self.shards.get(split))

    def shards_of(self, split: str) -> list[Any]:
        """The work items of a split; `read` returns the images of each."""
        return list(self.shards.get(split, ()))

    def read(self, shard: Any) -> Iterator[ImageRecord]:
        """Reads the images of one work item; an unusable one has `problem` set, and none raises."""
        return self.reader(shard)

    def ids(self, shard: Any) -> Iterator[str]:
        """The paths or ids of the images of one work item."""
        if self.image_ids is not None:
            return iter(self.image_ids(shard))
        return (record.source for record in self.reader(shard))

    def relative_name(self, image: str) -> str:
        """The path of an image relative to `root`, if it is below it; or else its path or id."""
        if self.root is None:
            return image
        return image.removeprefix(os.path.join(self.root, ""))

    def fingerprint(self) -> str:
        """16 hexadecimal digits that change when the data changes."""
        digest = hashlib.sha256(self.spec.encode("utf-8", "surrogateescape"))
        for line in self.file_signatures():
            digest.update(b"\n" + line.encode("utf-8", "surrogateescape"))
        return digest.hexdigest()[:16]


def short_name(spec: str) -> str:
    """Returns a name for folders and pipelines: "folder:/data/My Pets" → "my-pets"."""
    last = re.split(r"[:/]", spec.rstrip("/*"))[-1]
    return re.sub(r"[^a-z0-9]+", "-", last.lower()).strip("-") or "images"
