# SPDX-License-Identifier: Apache-2.0
"""Finds the classes of TFRecord files: the feature that holds them, their order, their names."""

from __future__ import annotations

import collections
import dataclasses
import itertools
import os
from collections.abc import Iterable, Mapping

from mixer_tf import features, storage
from mixer_tf.datasets.class_names import in_order, normalize, notes_of_unicode_forms
from mixer_tf.datasets.info import FILE_NAME, DatasetInfo
from mixer_tf.datasets.sources import tfrecord_features
from mixer_tf.datasets.sources.tfrecord_features import ParsedExample, Value
from mixer_tf.messages import with_examples

_MAX_SHOWN = 3
_HOW_TO_SEPARATE = "Use a pattern that matches the files of one dataset."


@dataclasses.dataclass(frozen=True)
class Classes:
    """How the files store the class of an image.

    Attributes:
        key: name of the feature.
        labels: value of that feature → label.
        names: one name per label.
        length: number of values of that feature in an example: 1, or the length of one-hot lists.
        notes: what a user should know about the choice.
    """

    key: str
    labels: Mapping[Value, int]
    names: tuple[str, ...]
    length: int = 1
    notes: tuple[str, ...] = ()


def find(paths: list[str]) -> Classes:
    """Returns the classes of a `dataset.json` beside the files, or those of all examples.

    Without a `dataset.json`, all files are read; the class is the first of `CLASS_KEYS` that any
    example has.

    Raises:
        ValueError: there is no such feature, or most of its values are not one class; or the files
            belong to `dataset.json` files with different classes, or some of them to none.
    """
    return _known(paths) or _in_examples(paths)


def _known(paths: list[str]) -> Classes | None:
    infos = info_folders(paths)
    if not any(infos.values()):
        return None
    _require_all(infos)
    found = {info: DatasetInfo.read(info).class_names for info in dict.fromkeys(infos.values())}
    _require_same(found)
    names = next(iter(found.values()))
    return Classes(features.LABEL, {label: label for label in range(len(names))}, names)


def _require_all(infos: dict[str, str | None]) -> None:
    """Raises an error if only some folders of files belong to a `dataset.json`."""
    for folder, info in infos.items():
        if info is None:
            other = next(filter(None, infos.values()))
            raise ValueError(
                f"tfrecord: all files must belong to a {FILE_NAME}, or none; those in {folder} do "
                f"not, others belong to {os.path.join(other, FILE_NAME)}. {_HOW_TO_SEPARATE}"
            )


def _require_same(found: dict[str, tuple[str, ...]]) -> None:
    """Raises an error if the class names of two folders differ; a label is an index of them."""
    (first, names), *others = found.items()
    for folder, other_names in others:
        if other_names != names:
            raise ValueError(
                "tfrecord: all files must have the same classes in the same order; "
                f"{os.path.join(first, FILE_NAME)} has {with_examples(names)}, "
                f"{os.path.join(folder, FILE_NAME)} has {with_examples(other_names)}. "
                f"{_HOW_TO_SEPARATE}"
            )


def info_folders(paths: Iterable[str]) -> dict[str, str | None]:
    """Returns the folder of each file → the folder of the `dataset.json` that it belongs to.

    It is the same folder, or the parent of Split-…; None if neither has such a file.
    """
    return {folder: _info_folder(folder) for folder in dict.fromkeys(map(os.path.dirname, paths))}


def _info_folder(folder: str) -> str | None:
    is_split = os.path.basename(folder).startswith("Split-")
    for candidate in (folder, *([os.path.dirname(folder)] if is_split else [])):
        if storage.exists(os.path.join(candidate, FILE_NAME)):
            return candidate
    return None


def _in_examples(paths: list[str]) -> Classes:
    seen = {key: _SeenClasses() for key in tfrecord_features.CLASS_KEYS}
    problem = ""
    for example in itertools.chain.from_iterable(map(tfrecord_features.read_file, paths)):
        problem = problem or example.problem
        for key in example.lengths:
            seen[key].add(example, key)
    for key, classes in seen.items():
        if classes.lengths or classes.num_unusable:
            return _make_classes(key, *classes.usable(paths))
    raise ValueError(
        "tfrecord: the examples must have a class in one of the features "
        f"{', '.join(tfrecord_features.CLASS_KEYS)}; none of {len(paths)} files does, such as "
        f"{paths[0]}.{f' The first problem is: {problem}.' if problem else ''}"
    )


class _SeenClasses:
    """What one feature holds in all examples: numbers of values, and value → class names for each.

    A list such as [0, 1] can be a one-hot class or two indices. So lists of another length than
    those of most examples are not used, and a feature that is mostly not one class is an error.
    """

    def __init__(self):
        self.lengths: dict[int, int] = collections.Counter()
        self.num_unusable, self.reason = 0, ""
        self._names = collections.defaultdict(lambda: collections.defaultdict(collections.Counter))

    def add(self, example: ParsedExample, key: str) -> None:
        if key in example.reasons:
            self.num_unusable += 1
            self.reason = self.reason or example.reasons[key]
            return
        self.lengths[example.lengths[key]] += 1
        names = self._names[example.lengths[key]][example.classes[key]]
        names.update(filter(None, [example.class_name]))

    def usable(self, paths: list[str]) -> tuple[int, dict[Value, collections.Counter]]:
        """The number of values in most examples, and for these value → class name → examples."""
        num_usable = sum(self.lengths.values())
        if self.num_unusable >= num_usable:
            raise ValueError(
                f"tfrecord: each example must have one class; {self.num_unusable:,} of "
                f"{self.num_unusable + num_usable:,} examples do not, such as in {paths[0]}: "
                f"{self.reason}. Store the index of the class as one integer."
            )
        length = max(self.lengths, key=self.lengths.get)
        return length, self._names[length]


def _make_classes(key: str, length: int, found: dict[Value, collections.Counter]) -> Classes:
    """The order is that of the values; their names are those that most examples give them."""
    texts = {value: normalize(tfrecord_features.to_text(value)) for value in found}
    order = {text: label for label, text in enumerate(in_order(texts.values()))}
    names_of = {text: collections.Counter() for text in order}
    for value, names in found.items():
        for name, count in names.items():
            names_of[texts[value]][normalize(name)] += count
    names, notes = _name_labels(names_of)
    labels = {value: order[text] for value, text in texts.items()}
    forms = notes_of_unicode_forms(map(tfrecord_features.to_text, found))
    notes = (*_notes_of_labels(length, labels), *forms, *notes)
    return Classes(key, labels, names, length, notes)


def _name_labels(
    names_of: dict[str, collections.Counter],
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """One name for each label, with notes; a name of several labels is followed by the label."""
    chosen = {text: max(found, key=found.get, default=text) for text, found in names_of.items()}
    occurrences = collections.Counter(chosen.values())
    repeated = [name for name, count in occurrences.items() if count > 1]
    several = [
        f"{text}: {' and '.join(map(repr, found))}"
        for text, found in names_of.items()
        if len(found) > 1
    ]
    notes = [
        *_note("names of several labels, now followed by the label", list(map(repr, repeated))),
        *_note("labels with several names, of which the most frequent is used", list(several)),
    ]
    names = [f"{name} ({text})" if name in repeated else name for text, name in chosen.items()]
    return tuple(names), tuple(notes)


def _note(text: str, found: list[str]) -> list[str]:
    return [f"{text}: {with_examples(found, _MAX_SHOWN, str, '; ')}"] if found else []


def _notes_of_labels(length: int, labels: dict[Value, int]) -> list[str]:
    notes = []
    if length > 1:
        notes.append(f"labels are one-hot lists of {length:,} values: read as the index")
    values = sorted(labels, key=labels.get)
    if not isinstance(values[0], bytes) and values != list(range(len(values))):
        notes.append(f"labels {values[0]} to {values[-1]} are now 0 to {len(values) - 1}")
    return notes
