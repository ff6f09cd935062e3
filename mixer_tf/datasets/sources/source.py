# SPDX-License-Identifier: Apache-2.0
"""Source: a dataset of any kind that was looked at but not read yet."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from mixer_tf.features import SPLITS, ImageRecord


@dataclasses.dataclass(frozen=True)
class Source:
    """A dataset that was looked at but not read yet.

    Attributes:
        spec: the text that it was opened with.
        class_names: one name for each label; index = label.
        work: split → small picklable items, each of which stands for some images.
        reader: one item → its images. Picklable and small, so that a worker needs nothing else.
        state: called for the lines that change when the data change.
        notes: one line for each thing that a user should know, such as an empty class folder.
    """

    spec: str
    class_names: tuple[str, ...]
    shards: Mapping[str, Sequence[Any]]
    reader: Callable[[Any], Iterator[ImageRecord]]
    file_signatures: Callable[[], Iterable[str]]
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """See `short_name`."""
        return short_name(self.spec)

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that hold images, a subset of "train", "eval", "test"."""
        return tuple(split for split in SPLITS if self.shards.get(split))

    def shards_of(self, split: str) -> list[Any]:
        """The work items of a split; `read` turns each into images."""
        return list(self.shards.get(split, ()))

    def read(self, entry: Any) -> Iterator[ImageRecord]:
        """Reads the images of one work item; a bad one comes with `problem` set, never raises."""
        return self.reader(entry)

    def fingerprint(self) -> str:
        """16 hexadecimal digits that change when the data change."""
        digest = hashlib.sha256(self.spec.encode("utf-8", "surrogateescape"))
        for line in self.file_signatures():
            digest.update(b"\n" + line.encode("utf-8", "surrogateescape"))
        return digest.hexdigest()[:16]


def short_name(spec: str) -> str:
    """Returns a name for folders and pipelines: "folder:/data/My Pets" → "my-pets"."""
    last = re.split(r"[:/]", spec.rstrip("/*"))[-1]
    return re.sub(r"[^a-z0-9]+", "-", last.lower()).strip("-") or "images"
