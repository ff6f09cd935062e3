# SPDX-License-Identifier: Apache-2.0
"""Existing TFRecord files of tf.Examples, with our feature names or common others."""

from __future__ import annotations

import collections
import dataclasses
import glob
import itertools
import os
import re
from collections.abc import Iterator

from mixer_tf import features, storage
from mixer_tf.datasets import files, splits
from mixer_tf.datasets.class_names import sort_key
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
        length: number of values of that feature in an example: 1, or the length of one-hot lists.
    """

    key: str
    values: tuple[Value, ...]
    names: tuple[str, ...]
    length: int = 1


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
        class_problem = self._class_problem(example, labels)
        value = example.classes.get(self.classes.key)
        label = None if class_problem else labels.get(value)
        class_name = "" if label is None else self.classes.names[label]
        record = files.make_record(example.encoded, label, class_name, example.image_id)
        problem = example.problem or class_problem or _raw_pixels_problem(record)
        return dataclasses.replace(record, problem=problem) if problem else record

    def _class_problem(self, example: ParsedExample, labels: dict[Value, int]) -> str:
        """Why the class of an example cannot be used, or ""; also "" if it has none."""
        key, expected = self.classes.key, self.classes.length
        length = example.lengths.get(key, expected)
        if key in example.reasons:
            return example.reasons[key]
        if length != expected:
            return f"the number of values of {key} must be {expected:,} as in most; got {length:,}"
        value = example.classes.get(key)
        if value is not None and value not in labels:
            return f"label {value!r} is not one of the {len(labels)} classes"
        return ""


def _raw_pixels_problem(record: ImageRecord) -> str:
    size = "" if record.format else tfrecord_features.raw_pixels(len(record.encoded))
    if not size:
        return ""
    return (
        f"{record.problem}; {len(record.encoded):,} bytes = {size}: raw pixels? Store them as PNG"
    )


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
        notes=_notes(classes),
    )


def _find_files(location: str) -> list[str]:
    found = storage.find_files(os.path.expanduser(location))
    paths = [path for path in found if storage.is_remote(path) or os.path.isfile(path)]
    if not paths:
        if storage.is_folder(os.path.expanduser(location)):
            raise ValueError(_not_a_pattern(location))
        if storage.exists(os.path.expanduser(location)):
            raise ValueError(_not_a_regular_file(location))
        raise ValueError(
            "tfrecord: must be followed by a pattern that matches files, such as "
            f"/data/train-*.tfrecord; got {location!r}, which matches none."
        )
    return paths


def _not_a_regular_file(location: str) -> str:
    """Why a path that exists is not among the files that it matches as a pattern."""
    if glob.escape(location) == location:
        return f"tfrecord: must be followed by regular files; {location} is not one."
    return (
        f"tfrecord: must be followed by a pattern; {location}, read as a pattern, does not match "
        f"the file of that name. Use tfrecord:{glob.escape(location)}."
    )


def _not_a_pattern(folder: str) -> str:
    """Names the pattern to use; not used unasked, because the folder may hold other files."""
    names = storage.list_names(os.path.expanduser(folder))
    if any(".tfrec" in name for name in names):
        pattern = "*.tfrec*"
    else:
        pattern = "Split-*/*" if any(name.startswith("Split-") for name in names) else "*"
    return (
        "tfrecord: must be followed by a pattern that matches files; "
        f"got the folder {folder!r}. Use tfrecord:{os.path.join(glob.escape(folder), pattern)}."
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
    seen = {key: _SeenClasses() for key in tfrecord_features.CLASS_KEYS}
    problem = ""
    for example in _read(paths):
        problem = problem or example.problem
        for key in example.lengths:
            seen[key].add(example, key)
    for key, classes in seen.items():
        if classes.lengths or classes.num_unusable:
            length, found = classes.usable(paths)
            values = sorted(found, key=lambda value: sort_key(tfrecord_features.to_text(value)))
            class_names = (found[value] or tfrecord_features.to_text(value) for value in values)
            return Classes(key, tuple(values), tuple(class_names), length)
    raise ValueError(
        "tfrecord: the examples must have a class in one of the features "
        f"{', '.join(tfrecord_features.CLASS_KEYS)}; none of {len(paths)} files does, such as "
        f"{paths[0]}.{f' The first problem is: {problem}.' if problem else ''}"
    )


class _SeenClasses:
    """What one feature holds in all examples: numbers of values, and value → class name for each.

    A list such as [0, 1] can be a one-hot class or two indices. So lists of another length than
    those of most examples are not used, and a feature that is mostly not one class is an error.
    """

    def __init__(self):
        self.lengths: dict[int, int] = collections.Counter()
        self.num_unusable, self.reason = 0, ""
        self._names: dict[int, dict[Value, str]] = collections.defaultdict(dict)

    def add(self, example: ParsedExample, key: str) -> None:
        if key in example.reasons:
            self.num_unusable += 1
            self.reason = self.reason or example.reasons[key]
            return
        self.lengths[example.lengths[key]] += 1
        names = self._names[example.lengths[key]]
        names.setdefault(example.classes[key], example.class_name)

    def usable(self, paths: list[str]) -> tuple[int, dict[Value, str]]:
        """The number of values in most examples, and value → class name for these."""
        num_usable = sum(self.lengths.values())
        if self.num_unusable >= num_usable:
            raise ValueError(
                f"tfrecord: each example must have one class; {self.num_unusable:,} of "
                f"{self.num_unusable + num_usable:,} examples do not, such as in {paths[0]}: "
                f"{self.reason}. Store the index of the class as one integer."
            )
        length = max(self.lengths, key=self.lengths.get)
        return length, self._names[length]


def _read(paths: list[str]) -> Iterator[ParsedExample]:
    return itertools.chain.from_iterable(map(tfrecord_features.read_file, paths))


def _notes(classes: Classes) -> tuple[str, ...]:
    values, notes = classes.values, []
    if classes.length > 1:
        notes.append(f"labels are one-hot lists of {classes.length:,} values: read as the index")
    if not isinstance(values[0], bytes) and values != tuple(range(len(values))):
        notes.append(f"labels {values[0]} to {values[-1]} are now 0 to {len(values) - 1}")
    return tuple(notes)
