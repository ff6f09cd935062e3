# SPDX-License-Identifier: Apache-2.0
"""Existing TFRecord files of tf.Examples, with our feature names or common others."""

from __future__ import annotations

import dataclasses
import itertools
import os
import re
from collections.abc import Iterator

from mixer_tf import features, storage
from mixer_tf.datasets import files, splits
from mixer_tf.datasets.info import FILE_NAME, DatasetInfo
from mixer_tf.datasets.sources import tfrecord_features
from mixer_tf.datasets.sources.source import Source
from mixer_tf.datasets.sources.tfrecord_features import ParsedExample, Value
from mixer_tf.features import SPLITS, TRAIN, ImageRecord

KIND = "tfrecord"
FORM = "tfrecord:GLOB"
HELP = "TFRecord files of tf.Examples"


@dataclasses.dataclass(frozen=True)
class Shard:
    """A work item: the images of one file that belong to one split.

    Attributes:
        path: path of the file.
        split: the split of the images to read.
    """

    path: str
    split: str


@dataclasses.dataclass(frozen=True)
class Classes:
    """How the files store the class of an image.

    Attributes:
        key: name of the feature.
        values: value of that feature for each label.
        names: one name per label.
    """

    key: str
    values: tuple[Value, ...]
    names: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class ShardReader:
    """Reads files of tf.Examples.

    Attributes:
        classes: how the files store the class of an image.
        rule: which training images are held out.
    """

    classes: Classes
    rule: splits.HoldOut

    def __call__(self, shard: Shard) -> Iterator[ImageRecord]:
        is_train = _split_of_file(shard.path) == TRAIN
        labels = {value: label for label, value in enumerate(self.classes.values)}
        for example in tfrecord_features.read_file(shard.path):
            if not is_train or self.rule.split_for(example.image_id) == shard.split:
                yield self._make_record(example, labels)

    def _make_record(self, example: ParsedExample, labels: dict[Value, int]) -> ImageRecord:
        value = example.classes.get(self.classes.key)
        label = labels.get(value)
        class_name = "" if label is None else self.classes.names[label]
        record = files.make_record(example.encoded, label, class_name, example.image_id)
        problem = example.problem
        if label is None and value is not None:
            problem = problem or f"label {value!r} is not one of the {len(labels)} classes"
        return dataclasses.replace(record, problem=problem) if problem else record


def open_source(spec: str, location: str, data_dir: str | None) -> Source:
    """Opens TFRecord files; without a `dataset.json`, they are read once to find the classes.

    The split of a file is derived from its name or its folder's ("train-00000-of-00010",
    "Split-eval/…"); other files are training images. Examples without a label are kept for the
    validation to report.

    Raises:
        ValueError: the pattern matches no file, or the files have no labels.
    """
    paths = _find_files(location)
    by_split = {split: [p for p in paths if _split_of_file(p) == split] for split in SPLITS}
    classes = _known_classes(paths[0]) or _find_classes(paths)
    rule = _hold_out(by_split)
    shards = {split: [Shard(path, split) for path in found] for split, found in by_split.items()}
    for split, _ in rule.bounds:
        shards[split] = [Shard(path, split) for path in by_split[TRAIN]]
    return Source(
        spec=spec,
        class_names=classes.names,
        shards=shards,
        reader=ShardReader(classes, rule),
        file_signatures=lambda: map(files.file_signature, paths),
        notes=_notes(classes.values),
    )


def _find_files(location: str) -> list[str]:
    found = storage.find_files(os.path.expanduser(location))
    paths = [path for path in found if storage.is_remote(path) or os.path.isfile(path)]
    if not paths:
        if storage.is_folder(os.path.expanduser(location)):
            raise ValueError(_not_a_pattern(location))
        raise ValueError(
            "tfrecord: must be followed by a pattern that matches files, such as "
            f"/data/train-*.tfrecord; got {location!r}, which matches none."
        )
    return paths


def _not_a_pattern(folder: str) -> str:
    """Names the pattern to use; not used unasked, because the folder may hold other files."""
    names = storage.list_names(os.path.expanduser(folder))
    if any(".tfrec" in name for name in names):
        pattern = "*.tfrec*"
    else:
        pattern = "Split-*/*" if any(name.startswith("Split-") for name in names) else "*"
    return (
        "tfrecord: must be followed by a pattern that matches files; "
        f"got the folder {folder!r}. Use tfrecord:{os.path.join(folder, pattern)}."
    )


def _split_of_file(path: str) -> str:
    """The split that is a word of the file's name, or else the name of its folder."""
    folder, name = os.path.split(path)
    words = re.split(r"[^a-z]+", name.lower())
    words.append(os.path.basename(folder).lower().removeprefix("split-"))
    return next((splits.ALIASES[word] for word in words if word in splits.ALIASES), TRAIN)


def _hold_out(by_split: dict[str, list[str]]) -> splits.HoldOut:
    if not by_split[TRAIN]:
        return splits.HoldOut(())
    present = {split for split, paths in by_split.items() if paths}
    return splits.hold_out((example.image_id for example in _read(by_split[TRAIN])), present)


def _known_classes(path: str) -> Classes | None:
    """The classes of the `dataset.json` in the file's folder, or in the parent of Split-…."""
    folder = os.path.dirname(path)
    is_split = os.path.basename(folder).startswith("Split-")
    for candidate in (folder, *([os.path.dirname(folder)] if is_split else [])):
        if storage.exists(os.path.join(candidate, FILE_NAME)):
            names = DatasetInfo.read(candidate).class_names
            return Classes(features.LABEL, tuple(range(len(names))), names)
    return None


def _find_classes(paths: list[str]) -> Classes:
    """Reads all files; the class is the first of `CLASS_KEYS` that any example has."""
    names = {key: {} for key in tfrecord_features.CLASS_KEYS}
    for example in _read(paths):
        for key, value in example.classes.items():
            names[key].setdefault(value, example.class_name)
    for key, found in names.items():
        if found:
            values = tuple(sorted(found, key=lambda value: (isinstance(value, bytes), value)))
            class_names = (found[value] or tfrecord_features.to_text(value) for value in values)
            return Classes(key, values, tuple(class_names))
    raise ValueError(
        "tfrecord: the examples must have a class in one of the features "
        f"{', '.join(tfrecord_features.CLASS_KEYS)}; none of {len(paths)} files does, such as "
        f"{paths[0]}."
    )


def _read(paths: list[str]) -> Iterator[ParsedExample]:
    return itertools.chain.from_iterable(map(tfrecord_features.read_file, paths))


def _notes(values: tuple[Value, ...]) -> tuple[str, ...]:
    if isinstance(values[0], bytes) or values == tuple(range(len(values))):
        return ()
    return (f"labels {values[0]} to {values[-1]} are now 0 to {len(values) - 1}",)
