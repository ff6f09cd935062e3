# SPDX-License-Identifier: Apache-2.0
"""Train, eval and test: what datasets call them, and how a missing one is held out of train.

Which split an image goes to depends on its id alone, so it stays there when others are added.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Collection, Iterable

from mixer_tf.features import EVAL, TEST, TRAIN

ALIASES = {
    **dict.fromkeys(("train", "training"), TRAIN),
    **dict.fromkeys(("eval", "val", "valid", "validation", "dev"), EVAL),
    **dict.fromkeys(("test", "testing"), TEST),
}
SHARE = 0.1


@dataclasses.dataclass(frozen=True)
class HoldOut:
    """A rule that parts the training images by a hash of their ids.

    Attributes:
        bounds: (split, upper bound of the hash as a fraction of 1), ascending; the rest is train.
    """

    bounds: tuple[tuple[str, float], ...]

    def split_of(self, image_id: str) -> str:
        position = hash_fraction(image_id)
        return next((split for split, bound in self.bounds if position < bound), TRAIN)


def hold_out(
    image_ids: Iterable[str], present: Collection[str], test_share: float = SHARE
) -> HoldOut:
    """Makes the rule that holds the splits that are not `present` out of the training images.

    Test takes the lowest hashes, eval the next. A share that would leave a split empty, as with
    a dozen images, is moved so that the image with the nearest hash falls into it.

    Args:
        image_ids: of the training images; read only as far as it takes to fill every split.
        present: the splits that the dataset brings itself.
        test_share: the fraction of the training images that a missing test split gets.

    Raises:
        ValueError: there are fewer images than splits to fill.
    """
    shares = {TEST: test_share, EVAL: SHARE}
    shares = {split: share for split, share in shares.items() if split not in present}
    rule = HoldOut(_cumulate(shares))
    seen, filled = [], set()
    for image_id in image_ids:
        seen.append(image_id)
        filled.add(rule.split_of(image_id))
        if len(filled) == len(shares) + 1:
            return rule
    return HoldOut(_move_bounds(rule.bounds, sorted(map(hash_fraction, seen))))


def hash_fraction(image_id: str) -> float:
    """A number in [0, 1) that depends on the id alone."""
    digest = hashlib.sha256(image_id.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def _cumulate(shares: dict[str, float]) -> tuple[tuple[str, float], ...]:
    bounds, total = [], 0.0
    for split, share in shares.items():
        total += share
        bounds.append((split, total))
    return tuple(bounds)


def _move_bounds(bounds: tuple[tuple[str, float], ...], positions: list[float]) -> tuple:
    """Bounds for few images: each split gets one at least, and so does train."""
    if len(positions) <= len(bounds):
        raise ValueError(
            f"at least {len(bounds) + 1} training images are needed to hold out "
            f"{' and '.join(split for split, _ in bounds)}; got {len(positions)}."
        )
    moved, first = [], 0
    for later, (split, bound) in zip(range(len(bounds), 0, -1), bounds, strict=True):
        inside = sum(position < bound for position in positions)
        first = min(max(inside, first + 1), len(positions) - later)
        moved.append((split, bound if first == inside else positions[first]))
    return tuple(moved)
