# SPDX-License-Identifier: Apache-2.0
"""The sets of images that are compared: a split, or all images of another source."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

from mixer_tf.datasets import examples
from mixer_tf.datasets.sources.source import Source
from mixer_tf.features import SPLITS, ImageRecord

Reader = Callable[[Any], Iterable[ImageRecord]]


@dataclasses.dataclass(frozen=True)
class ImageSet:
    """A set of images that can be read several times.

    Attributes:
        name: "train", "eval", "test", or the specification of another source.
        shards: work items, each of which stands for some images.
        reader: work item → its images, in the same order every time.
    """

    name: str
    shards: tuple[Any, ...]
    reader: Reader


def from_examples(folder: str, split: str) -> ImageSet:
    """Returns one split of an Examples folder."""
    return ImageSet(split, tuple(examples.list_shards(folder, split)), examples.read_records)


def from_split(source: Source, split: str) -> ImageSet:
    """Returns one split of a source."""
    return ImageSet(split, tuple(source.shards_of(split)), source.reader)


def from_source(source: Source) -> ImageSet:
    """Returns all images of a source, whatever their split."""
    shards = [shard for split in source.splits for shard in source.shards_of(split)]
    return ImageSet(source.spec, tuple(shards), source.reader)


def find_comparable_sets(class_names: Iterable[str], others: Iterable[Source]) -> frozenset[str]:
    """Returns the names of the sets whose class names mean the same as those of training.

    These are the splits of the dataset itself, and each other source all of whose classes are
    classes of the dataset. If it has further ones, such as "thing", its classes are different ones.

    Args:
        class_names: the classes of the dataset that the training images are from.
        others: the other sources that are compared.
    """
    own = set(class_names)
    return frozenset(
        [*SPLITS, *(other.spec for other in others if own.issuperset(other.class_names))]
    )
