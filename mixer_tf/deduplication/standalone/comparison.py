# SPDX-License-Identifier: Apache-2.0
"""What is compared with what: a source of training images, and named sets of other images."""

from __future__ import annotations

import dataclasses
import functools
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from mixer_tf import storage
from mixer_tf.datasets import unlabeled, work_items
from mixer_tf.datasets.sources import opening
from mixer_tf.datasets.sources.source import Source, short_name
from mixer_tf.deduplication.options import DeduplicationOptions
from mixer_tf.deduplication.standalone.store import Item, code_version, make_key
from mixer_tf.features import SPLITS, TRAIN
from mixer_tf.messages import printable, spreadsheet_cell

_NESTED = "of which one contains the other"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


@dataclasses.dataclass(frozen=True)
class ComparedSet:
    """A set of images.

    Attributes:
        name: "train", "eval" or "test" for a split of the training source, or the given name.
        source: what it is a part of.
        pieces: its work items.
        splits: the split of the source that each of them is from.
    """

    name: str
    source: Source
    pieces: tuple[Any, ...]
    splits: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Training images, and the images that they are compared with.

    The training split is compared with the evaluation and test split of the same source, with all
    images of the other sources, and, with the option `within_train`, with itself.

    Attributes:
        train: the source of the training images.
        against: name → another source.
        options: what counts as a duplicate.
        ignore_splits: whether all images of `train` are training images, whatever their split.
    """

    train: Source
    against: Mapping[str, Source]
    options: DeduplicationOptions
    ignore_splits: bool = False

    def __post_init__(self):
        require_different({"--train": self.train.spec, **self._specs()})
        if not self.sets[0].pieces:
            raise ValueError(
                f"a source must have training images; {self.train.spec} has only "
                f"{', '.join(self.train.splits)}. Use --ignore-splits to take these."
            )
        if len(self.sets) == 1 and not self.options.within_train:
            raise ValueError(
                f"{self.train.spec} must be compared with something; it has no evaluation or test "
                "split of its own. Add --against=NAME=SOURCE, or --within to find the duplicates "
                "among its images."
            )

    @functools.cached_property
    def sets(self) -> tuple[ComparedSet, ...]:
        """All sets, training first, then its other splits, then the others by name."""
        if self.ignore_splits:
            own = [_make_set(TRAIN, self.train, self.train.splits)]
        else:
            others = [split for split in self.train.splits if split != TRAIN]
            own = [_make_set(split, self.train, (split,)) for split in (TRAIN, *others)]
        others = sorted(self.against.items())
        return (*own, *(_make_set(name, source, source.splits) for name, source in others))

    def items(self) -> list[Item]:
        """Lists the work items of all sets, with the state of their data; training last."""
        train, *tests = self.sets
        version = [code_version(), self.options.threshold]
        found: list[Item] = []
        for each in (*tests, train):
            for piece in each.pieces:
                state = work_items.signature(each.source, piece)
                key = make_key([*version, each.name, state])
                found.append(Item(len(found), each.name, piece, key))
        return found

    def keep(self) -> frozenset[str]:
        """The images that are never removed, as reports show them; see `names_of_line`."""
        return frozenset(name for line in self.options.keep for name in self.names_of_line(line))

    def names_of_line(self, line: str) -> set[str]:
        """What a line of the list of images to keep may name: as reports show it, or pairs.csv.

        There, paths are relative to the source, and an apostrophe may be before them.
        """
        lines = {line}
        if line[1:] and spreadsheet_cell(line[1:]) == line:
            lines.add(line[1:])
        root = self.train.root
        if root is not None:
            lines |= {printable(storage.resolve(root, name)) for name in lines}
        return lines

    def comparable_sets(self) -> frozenset[str]:
        """The names of the sets whose classes mean the same as those of training.

        See `image_sets.find_comparable_sets`.
        """
        own = set(self.train.class_names)
        others = self.against.items()
        return frozenset(
            [*SPLITS, *(name for name, source in others if own.issuperset(source.class_names))]
        )

    def description(self) -> dict[str, Any]:
        """What identifies a run in its folder, as JSON."""
        return {
            "train": self.train.spec,
            "against": self._specs(),
            "ignore_splits": self.ignore_splits,
            "within": self.options.within_train,
            "threshold": self.options.threshold,
            "mode": self.options.mode,
            "keep": sorted(self.options.keep),
        }

    def _specs(self) -> dict[str, str]:
        return {name: source.spec for name, source in sorted(self.against.items())}


def parse_against(values: tuple[str, ...]) -> dict[str, str]:
    """Returns name → specification of "NAME=SOURCE" texts; no source is opened.

    Raises:
        ValueError: another form, an unknown kind of source, or a name that is used twice or is that
            of a split.
    """
    found: dict[str, str] = {}
    for value in values:
        name, _, spec = value.partition("=")
        if not spec or not _NAME.fullmatch(name):
            raise ValueError(
                f"--against must be NAME=SOURCE, with a name of letters, digits, '_', '.' and '-'; "
                f"got {value!r}.{_suggestion(value)}"
            )
        if name in SPLITS:
            raise ValueError(
                f"the NAME in --against must not be {name!r}, which is a split of --train; got "
                f"{value!r}. Use another name, such as {name}-set."
            )
        if name in found:
            raise ValueError(
                f"each NAME in --against must be used once; got {name!r} for {found[name]} and for "
                f"{spec}."
            )
        parse_spec(spec)
        found[name] = spec
    return found


def parse_spec(spec: str) -> tuple[str, str]:
    """Returns the kind of a source, or "images", and its path or name; nothing is opened.

    Raises:
        ValueError: an unknown kind of source.
    """
    kind, _, location = spec.partition(":")
    return (kind, location) if kind == unlabeled.KIND else opening.parse(spec)


def require_different(specs: Mapping[str, str]) -> None:
    """Checks that no source is given twice, and no folder with a part of it.

    Args:
        specs: name, or "--train" → specification.

    Raises:
        ValueError: two are the same, or one of them is in the folder of the other.
    """
    names = list(specs)
    for index, name in enumerate(names):
        for earlier in names[:index]:
            _require_different(earlier, specs[earlier], name, specs[name])


def _require_different(first: str, first_spec: str, second: str, second_spec: str) -> None:
    locations = _location(first_spec), _location(second_spec)
    is_same = locations[0] == locations[1]
    if not is_same and not _contains(*locations) and not _contains(*reversed(locations)):
        return
    if first == "--train":
        both = f"{first_spec} and {second_spec}, {'which are one folder' if is_same else _NESTED}"
        raise ValueError(
            "--against must be another source than --train; got "
            f"{f'{first_spec} as both' if first_spec == second_spec else both}. The splits of "
            "--train are compared with each other anyway; --within compares its training images "
            "with each other."
        )
    names = f"as {first!r} and as {second!r}"
    raise ValueError(
        "each source must be given once in --against; got "
        f"{f'{second_spec} {names}' if is_same else f'{first_spec} and {second_spec}, {_NESTED},'}"
        f"{'' if is_same else f' {names}'}."
    )


def _contains(folder: tuple[str, bool], other: tuple[str, bool]) -> bool:
    """Whether both are folders, and one is in the other."""
    return folder[1] and other[1] and other[0].startswith(os.path.join(folder[0], ""))


def _location(spec: str) -> tuple[str, bool]:
    """Where a source is, whatever its kind, and whether it is a folder of images."""
    kind, location = parse_spec(spec)
    is_folder = kind in ("folder", unlabeled.KIND)
    if not is_folder and kind != "csv":
        return spec, False
    if storage.is_remote(location):
        return location.rstrip("/"), is_folder
    return os.path.realpath(os.path.expanduser(location)), is_folder


def _make_set(name: str, source: Source, splits: Iterable[str]) -> ComparedSet:
    found = [
        (piece, split) for split in splits for piece in work_items.list_pieces(source, (split,))
    ]
    pieces, splits = ([part[index] for part in found] for index in (0, 1))
    return ComparedSet(name, source, tuple(pieces), tuple(splits))


def _suggestion(value: str) -> str:
    try:
        parse_spec(value)
    except ValueError:
        return f" Such as --against=test=folder:PATH; sources are {opening.forms()}."
    return f" Use --against={short_name(value)}={value}."
