# SPDX-License-Identifier: Apache-2.0
"""Existing TFRecord files of tf.Examples, with our feature names or common others."""

from __future__ import annotations

import dataclasses
import glob
import itertools
import os
import re
from collections.abc import Iterator

from mixer_tf import storage
from mixer_tf.datasets import files, splits
from mixer_tf.datasets.info import FILE_NAME
from mixer_tf.datasets.sources import tfrecord_classes, tfrecord_features
from mixer_tf.datasets.sources.source import Source
from mixer_tf.datasets.sources.tfrecord_classes import Classes
from mixer_tf.datasets.sources.tfrecord_features import ParsedExample
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
        for example in tfrecord_features.read_file(shard.path):
            if not is_train or self.rule.split_for(example.image_id) == shard.split:
                yield self._make_record(example)

    def _make_record(self, example: ParsedExample) -> ImageRecord:
        class_problem = self._class_problem(example)
        value = example.classes.get(self.classes.key)
        label = None if class_problem else self.classes.labels.get(value)
        class_name = "" if label is None else self.classes.names[label]
        record = files.make_record(example.encoded, label, class_name, example.image_id)
        problem = example.problem or class_problem or _raw_pixels_problem(record)
        return dataclasses.replace(record, problem=problem) if problem else record

    def _class_problem(self, example: ParsedExample) -> str:
        """Why the class of an example cannot be used, or ""; also "" if it has none."""
        key, expected = self.classes.key, self.classes.length
        length = example.lengths.get(key, expected)
        if key in example.reasons:
            return example.reasons[key]
        if length != expected:
            return f"the number of values of {key} must be {expected:,} as in most; got {length:,}"
        value = example.classes.get(key)
        if value is not None and value not in self.classes.labels:
            return f"label {value!r} is not one of the {len(self.classes.names)} classes"
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
        ValueError: the pattern matches no file, or the files have no labels; or they belong to
            datasets with different classes.
    """
    paths = _find_files(location)
    by_split = {split: [p for p in paths if _split_of_file(p) == split] for split in SPLITS}
    classes = tfrecord_classes.find(paths)
    rule = _hold_out(by_split)
    shards = {split: [Shard(path, split) for path in found] for split, found in by_split.items()}
    for split, _ in rule.bounds:
        shards[split] = [Shard(path, split) for path in by_split[TRAIN]]
    return Source(
        spec=spec,
        class_names=classes.names,
        shards=shards,
        reader=ShardReader(classes, rule),
        file_signatures=lambda: map(files.file_signature, [*paths, *_info_files(paths)]),
        notes=classes.notes,
    )


def _info_files(paths: list[str]) -> list[str]:
    """The files that decide about the names of the classes, if there are any."""
    folders = dict.fromkeys(filter(None, tfrecord_classes.info_folders(paths).values()))
    return [os.path.join(folder, FILE_NAME) for folder in folders]


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


def _read(paths: list[str]) -> Iterator[ParsedExample]:
    return itertools.chain.from_iterable(map(tfrecord_features.read_file, paths))
