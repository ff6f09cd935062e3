# SPDX-License-Identifier: Apache-2.0
"""The splits of a TFDS dataset that a source states: "tfds+eval=train[98%:]:cifar10".

The paper chooses its fine-tuning hyperparameters on the tail of the training images, such as the
last 2 % of CIFAR-10, and reports on the test images.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence

from mixer_tf.features import SPLITS, TRAIN
from mixer_tf.messages import did_you_mean

_HINT = 'Write for example "tfds+eval=train[98%:]:cifar10".'
_SPEC = re.compile(r"([^+:]*)(?:\+((?:[^:\[]|\[[^\]]*\])*))?(?::(.*))?", re.DOTALL)
_PART = re.compile(r"(\w+)=([^=]+)")


@dataclasses.dataclass(frozen=True, order=True)
class Range:
    """The examples first ≤ index < end of a TFDS split.

    Attributes:
        tfds_split: name of the split in TFDS.
        first, end: indices within that split.
    """

    tfds_split: str
    first: int
    end: int

    def overlaps(self, other: Range) -> bool:
        """Whether an example belongs to both."""
        is_same = self.tfds_split == other.tfds_split
        return is_same and self.first < other.end and other.first < self.end

    def without(self, other: Range) -> list[Range]:
        """Returns the parts of this range that are not in the other."""
        if not self.overlaps(other):
            return [self]
        parts = (
            Range(self.tfds_split, self.first, other.first),
            Range(self.tfds_split, other.end, self.end),
        )
        return [part for part in parts if part.first < part.end]


def parse(stated: str) -> dict[str, str]:
    """Returns split → what TFDS calls it, of a text such as "eval=train[98%:],test=validation".

    Raises:
        ValueError: the text has another form, or names a split twice or one that is not known.
    """
    parts = [_PART.fullmatch(part.strip()) for part in stated.split(",")]
    names = [part[1] for part in parts if part]
    if not all(parts) or len(set(names)) < len(names) or set(names) - set(SPLITS):
        raise ValueError(
            f"the splits of a tfds: source must be SPLIT=TFDS_SPLIT, separated by commas, each of "
            f"{', '.join(SPLITS)} at most once; got {stated!r}. {_HINT}"
        )
    return {part[1]: part[2] for part in parts}


def split_spec(spec: str) -> tuple[str, str, str]:
    """Returns (kind, stated splits or "", location) of "tfds+eval=train[98%:]:cifar10".

    A colon within brackets belongs to the stated splits.

    Raises:
        ValueError: a bracket is not closed.
    """
    found = _SPEC.fullmatch(spec)
    if not found:
        raise ValueError(f"a source must close its brackets; got {spec!r}. {_HINT}")
    kind, stated, location = found.groups(default="")
    return kind, stated, location


def stated_in(spec: str) -> dict[str, str]:
    """Returns the splits that a specification states, as `parse` does; {} if it states none."""
    _, stated, _ = split_spec(spec)
    return parse(stated) if stated else {}


def cut(whole: Range, lengths: Sequence[int]) -> Iterator[Range]:
    """Yields the parts of a range that are each in one shard.

    Args:
        whole: a range of a TFDS split.
        lengths: number of examples in each shard of that split.
    """
    for end, length in zip(itertools.accumulate(lengths), lengths, strict=True):
        part = Range(whole.tfds_split, max(whole.first, end - length), min(whole.end, end))
        if part.first < part.end:
            yield part


def resolve(stated: Mapping[str, str], own: Mapping[str, str], infos) -> dict[str, list[Range]]:
    """Returns the examples of each split.

    A split that is not stated is the dataset's own, without the examples of the stated ones, so
    that no example is in two splits.

    Args:
        stated: the result of `parse`.
        own: split → name in TFDS, of the splits that the dataset has.
        infos: `builder.info.splits`.

    Raises:
        ValueError: a stated split does not exist, is empty, or overlaps another stated one; or
            nothing is left to train on.
    """
    found = {split: _ranges(split, text, infos) for split, text in stated.items()}
    _require_disjoint(found, stated)
    taken = [part for parts in found.values() for part in parts]
    for split, name in own.items():
        if split not in found:
            left = [Range(name, 0, infos[name].num_examples)]
            for part in taken:
                left = [rest for whole in left for rest in whole.without(part)]
            found[split] = left
    if not found.get(TRAIN):
        raise ValueError(
            "a tfds: source must leave images to train on; its splits are "
            f"{_written(stated)}. {_HINT}"
        )
    return {split: parts for split, parts in found.items() if parts}


def _ranges(split: str, text: str, infos) -> list[Range]:
    from tensorflow_datasets.core.splits import ReadInstruction

    for name in text.split("+"):
        if (name := name.partition("[")[0]) not in infos:
            raise ValueError(
                f"the split {split} must be part of a split of the dataset, which has "
                f"{', '.join(infos)}; got {split}={text}.{did_you_mean(name, infos)}"
            )
    try:
        parts = ReadInstruction.from_spec(text).to_absolute(infos)
    except (AssertionError, ValueError) as error:
        raise ValueError(
            f"the split {split} must be written as TFDS does, such as train[98%:]; got "
            f"{split}={text}: {error}"
        ) from None
    ranges = [Range(p.splitname, p.from_ or 0, _end(p, infos)) for p in parts]
    if not any(part.first < part.end for part in ranges):
        raise ValueError(f"the split {split} must have images; {split}={text} has none.")
    return ranges


def _end(part, infos) -> int:
    return infos[part.splitname].num_examples if part.to is None else part.to


def _require_disjoint(found: Mapping[str, list[Range]], stated: Mapping[str, str]) -> None:
    parts = [(split, part) for split, ranges in found.items() for part in ranges]
    for index, (split, part) in enumerate(parts):
        for other_split, other in parts[index + 1 :]:
            if part.overlaps(other):
                raise ValueError(
                    f"the splits of a source must not share images; those of {split} and "
                    f"{other_split} do: {_written(stated)}."
                )


def _written(stated: Mapping[str, str]) -> str:
    return ",".join(f"{split}={text}" for split, text in stated.items())
