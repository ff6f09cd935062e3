# SPDX-License-Identifier: Apache-2.0
"""Where images come from: one word and a path or name, such as "folder:/data/pets"."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import importlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from mixer_tf.features import SPLITS, ImageRecord

# Each module has `open_source(spec, location, data_dir) -> Source`.
_MODULES = {
    "digits": "digits",
    "tfds": "tfds",
    "folder": "folder",
    "tfrecord": "tfrecord",
    "csv": "csv_list",
}
_FORMS = "digits, tfds:NAME[:CONFIG], folder:PATH, tfrecord:GLOB, csv:PATH"


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
    work: Mapping[str, Sequence[Any]]
    reader: Callable[[Any], Iterator[ImageRecord]]
    state: Callable[[], Iterable[str]]
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """A short name for folders and pipelines: "folder:/data/My Pets" → "my-pets"."""
        last = re.split(r"[:/]", self.spec.rstrip("/*"))[-1]
        return re.sub(r"[^a-z0-9]+", "-", last.lower()).strip("-") or "images"

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that hold images, a subset of "train", "eval", "test"."""
        return tuple(split for split in SPLITS if self.work.get(split))

    def entries(self, split: str) -> list[Any]:
        """The work items of a split; `read` turns each into images."""
        return list(self.work.get(split, ()))

    def read(self, entry: Any) -> Iterator[ImageRecord]:
        """Reads the images of one work item; a bad one comes with `problem` set, never raises."""
        return self.reader(entry)

    def fingerprint(self) -> str:
        """16 hexadecimal digits that change when the data change."""
        digest = hashlib.sha256(self.spec.encode("utf-8", "surrogateescape"))
        for line in self.state():
            digest.update(b"\n" + line.encode("utf-8", "surrogateescape"))
        return digest.hexdigest()[:16]


def parse(spec: str, data_dir: str | None = None) -> Source:
    """Opens the source that `spec` names.

    Args:
        spec: "digits", "tfds:NAME[:CONFIG]", "folder:PATH", "tfrecord:GLOB" or "csv:PATH".
        data_dir: where prepared TFDS datasets lie; None for the default of TFDS.

    Raises:
        ValueError: no such kind of source, nothing at that path, or no image there.
    """
    kind, _, location = spec.partition(":")
    if kind not in _MODULES:
        raise ValueError(_unknown(spec, kind))
    if bool(location) == (kind == "digits"):
        raise ValueError(f"a source must be one of {_FORMS}; got {spec!r}.")
    module = importlib.import_module(f"mixer_tf.datasets.{_MODULES[kind]}")
    source = module.open_source(spec, location, data_dir)
    if len(source.class_names) > 1:
        return source
    note = f"the only class is {source.class_names[0]!r}: any model is right, and learns nothing"
    return dataclasses.replace(source, notes=(*source.notes, note))


def _unknown(spec: str, kind: str) -> str:
    near = difflib.get_close_matches(kind.lower(), _MODULES, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else f" For a folder of images: folder:{spec}."
    return f"a source must be one of {_FORMS}; got {spec!r}.{hint}"
