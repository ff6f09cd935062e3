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
from mixer_tf.deduplication.removals import Removal
from mixer_tf.deduplication.standalone.store import Item, code_version, make_key
from mixer_tf.features import SPLITS, TRAIN
from mixer_tf.messages import printable

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


@dataclasses.dataclass(frozen=True)
class ComparedSet:
    """A set of images.

    Attributes:
        name: "train", "eval" or "test" for a split of the training source, or the given name.
        source: what it is a part of.
        pieces: its work items.
    """

    name: str
    source: Source
    pieces: tuple[Any, ...]


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
        splits = self.train.splits if self.ignore_splits else (TRAIN,)
        own = [ComparedSet(TRAIN, self.train, _pieces(self.train, splits))]
        if not self.ignore_splits:
            own += [
                ComparedSet(split, self.train, _pieces(self.train, (split,)))
                for split in self.train.splits
                if split != TRAIN
            ]
        others = [
            ComparedSet(name, source, _pieces(source, source.splits))
            for name, source in sorted(self.against.items())
        ]
        return (*own, *others)

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
        """The images that are never removed, as reports show them.

        A line of the list may also be a path relative to the source, as in pairs.csv.
        """
        return self.options.keep | frozenset(map(self._resolved, self.options.keep))

    def unused_keep(self, removals: Iterable[Removal]) -> list[str]:
        """Returns the lines of the list of images to keep that name no duplicate, sorted."""
        found = {printable(removal.match.image.source) for removal in removals}
        lines = self.options.keep
        return sorted(line for line in lines if not found & {line, self._resolved(line)})

    def _resolved(self, name: str) -> str:
        root = self.train.root
        return name if root is None else printable(storage.resolve(root, name))

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
    """Checks that no source is given twice.

    Args:
        specs: name, or "--train" → specification.

    Raises:
        ValueError: two are the same.
    """
    seen: dict[tuple[str, str], str] = {}
    for name, spec in specs.items():
        key = _location(spec)
        if key in seen and seen[key] == "--train":
            raise ValueError(
                f"--against must be another source than --train; got {spec} as both. The splits of "
                "--train are compared with each other anyway; --within compares its training "
                "images with each other."
            )
        if key in seen:
            raise ValueError(
                f"each source must be given once in --against; got {spec} as {seen[key]!r} and as "
                f"{name!r}."
            )
        seen[key] = name


def _location(spec: str) -> tuple[str, str]:
    kind, location = parse_spec(spec)
    is_path = kind in ("folder", "csv", unlabeled.KIND) and not storage.is_remote(location)
    path = os.path.realpath(os.path.expanduser(location)) if is_path else location
    return kind, path if is_path else spec


def _pieces(source: Source, splits: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(work_items.list_pieces(source, splits))


def _suggestion(value: str) -> str:
    try:
        parse_spec(value)
    except ValueError:
        return f" Such as --against=test=folder:PATH; sources are {opening.forms()}."
    return f" Use --against={short_name(value)}={value}."
