# SPDX-License-Identifier: Apache-2.0
"""Train, eval and test: their names in datasets, and how a missing one is held out of train.

The split of an image depends on its id alone, so it does not change when others are added. A split
that is held out therefore gets about a tenth of the images: of 120, from 6 to 19 in 19 of 20 cases.
Where a class of at least five images would get none, the image with the nearest hash is assigned to
it. A smaller class may get none; `evaluation.class_counts.notes_of_splits` says so. Each class has
a training image: where all would be held out, the one with the highest hash is not.
"""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import operator
import re
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from typing import TypeVar

from mixer_tf.features import EVAL, SPLITS, TEST, TRAIN

ALIASES = {
    **dict.fromkeys(("train", "training"), TRAIN),
    **dict.fromkeys(("eval", "val", "valid", "validation", "dev"), EVAL),
    **dict.fromkeys(("test", "testing"), TEST),
}
# Words beside that of a split, as in "training_set" and "test-images".
_FILLERS = frozenset(
    [
        *("set", "sets", "data", "dataset", "split", "folder", "dir", "sample", "samples"),
        *("image", "images", "img", "imgs", "photo", "photos", "picture", "pictures"),
    ]
)
_WORD = re.compile(r"[^\W\d_]+")
SHARE = 0.1  # the probability that an image is held out
_ENOUGH_OF_A_CLASS = 5  # images, for one in each split and most in train

Item = TypeVar("Item")


@dataclasses.dataclass(frozen=True)
class HoldOut:
    """A rule that assigns training images to splits by a hash of their ids.

    Attributes:
        bounds: (split, upper bound of the hash in [0, 1]), ascending; the rest is train.
    """

    bounds: tuple[tuple[str, float], ...]

    def split_for(self, image_id: str) -> str:
        """Returns the split of an image."""
        position = hash_fraction(image_id)
        return next((split for split, bound in self.bounds if position < bound), TRAIN)


def is_split_name(name: str) -> bool:
    """Whether a name is exactly that of a split, in small or capital letters."""
    return name.lower() in ALIASES


def split_named(name: str) -> str:
    """Returns the split that a folder's name means: "Train", "training_set", "testData2"; or ""."""
    return split_within(name) if all(map(_is_of_split, _words(name))) else ""


def split_within(name: str) -> str:
    """Returns the split whose word the name contains, as in "seg_train"; "" if none or several."""
    found = {ALIASES[word] for word in _words(name) if word in ALIASES}
    return found.pop() if len(found) == 1 else ""


def is_filler(name: str) -> bool:
    """Whether a folder's name says nothing about its content, such as "images"."""
    return name.lower() in _FILLERS


def _is_of_split(word: str) -> bool:
    return word in ALIASES or word in _FILLERS


def _words(name: str) -> list[str]:
    """The words of a name in small letters; "trainSet" and "trainset" are "train", "set"."""
    separated = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return [part for word in _WORD.findall(separated) for part in _unglued(word.lower())]


def _unglued(word: str) -> list[str]:
    for filler in _FILLERS:
        if word.endswith(filler) and word.removesuffix(filler) in ALIASES:
            return [word.removesuffix(filler), filler]
    return [word]


def assign_splits(
    items: Sequence[tuple[str, str, Item]],
    test_share: float = SHARE,
    label_of: Callable[[Item], Hashable] | None = None,
) -> dict[str, list[Item]]:
    """Assigns the images of a dataset to train, eval and test.

    A split that the dataset does not have is held out of train, or of all images if it has no
    splits at all. Each split is sorted by the hash, which mixes the classes.

    Args:
        items: (split or "", id, item) of each image.
        test_share: about which fraction of the training images a missing test split gets.
        label_of: returns the class of an item, so that each class of at least five training images
            has one in each split, and each smaller one has one in train; None to not look at the
            classes.

    Returns:
        Split → its items.
    """
    present = {split for split, _, _ in items}
    train = [(image_id, item) for split, image_id, item in items if split in ("", TRAIN)]
    rule_for = _rules(train, present, test_share, label_of or (lambda item: None))
    by_split = {split: [] for split in SPLITS}
    for split, image_id, item in items:
        split = rule_for(item).split_for(image_id) if split in ("", TRAIN) else split
        by_split[split].append((hash_fraction(image_id), item))
    return {
        split: [item for _, item in sorted(found, key=operator.itemgetter(0))]
        for split, found in by_split.items()
    }


def _rules(
    train: Sequence[tuple[str, Item]],
    present: Collection[str],
    test_share: float,
    label_of: Callable[[Item], Hashable],
) -> Callable[[Item], HoldOut]:
    """Returns the function from a training item to its rule, which is that of its class."""
    if not train:
        return lambda item: HoldOut(())
    shared = hold_out([image_id for image_id, _ in train], present, test_share)
    ids = collections.defaultdict(list)
    for image_id, item in train:
        ids[label_of(item)].append(image_id)
    rules = {
        label: hold_out(found, present, test_share)
        if len(found) >= _ENOUGH_OF_A_CLASS
        else _with_one_in_train(shared, found)
        for label, found in ids.items()
    }
    return lambda item: rules[label_of(item)]


def _with_one_in_train(rule: HoldOut, image_ids: Iterable[str]) -> HoldOut:
    """Returns the rule, or one that leaves the highest hash in train if it holds all images out."""
    highest = max(map(hash_fraction, image_ids))
    return HoldOut(tuple((split, min(bound, highest)) for split, bound in rule.bounds))


def hold_out(
    image_ids: Iterable[str], present: Collection[str], test_share: float = SHARE
) -> HoldOut:
    """Returns the rule that holds missing splits out of the training images.

    Test has the lowest hashes, eval the next. A bound that would leave a split empty, as with a
    dozen images, is moved so that the image with the nearest hash belongs to it.

    Args:
        image_ids: ids of the training images; read only until every split has an image.
        present: the splits that the dataset has.
        test_share: about which fraction of the training images a missing test split gets.

    Raises:
        ValueError: there are fewer images than splits to fill.
    """
    shares = {TEST: test_share, EVAL: SHARE}
    shares = {split: share for split, share in shares.items() if split not in present}
    rule = HoldOut(_cumulative(shares))
    seen, filled = [], set()
    for image_id in image_ids:
        seen.append(image_id)
        filled.add(rule.split_for(image_id))
        if len(filled) == len(shares) + 1:
            return rule
    return HoldOut(_move_bounds(rule.bounds, sorted(map(hash_fraction, seen))))


def hash_fraction(image_id: str) -> float:
    """Returns a number in [0, 1) that depends on the id alone."""
    digest = hashlib.sha256(image_id.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def _cumulative(shares: dict[str, float]) -> tuple[tuple[str, float], ...]:
    bounds, total = [], 0.0
    for split, share in shares.items():
        total += share
        bounds.append((split, total))
    return tuple(bounds)


def _move_bounds(bounds: tuple[tuple[str, float], ...], positions: list[float]) -> tuple:
    """Bounds for few images: each split has at least one, and so has train."""
    if len(positions) <= len(bounds):
        raise ValueError(
            f"at least {len(bounds) + 1} training images are needed to hold out "
            f"{' and '.join(split for split, _ in bounds)}; got {len(positions)}. Add images, or "
            "divide them yourself into train/, val/ and test/."
        )
    moved, first = [], 0
    for later, (split, bound) in zip(range(len(bounds), 0, -1), bounds, strict=True):
        inside = sum(position < bound for position in positions)
        first = min(max(inside, first + 1), len(positions) - later)
        moved.append((split, bound if first == inside else positions[first]))
    return tuple(moved)
