# SPDX-License-Identifier: Apache-2.0
"""Groups of images with equal bytes: each group is compared once, however many copies it has."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class EqualImages:
    """The images of a gallery, grouped by set and bytes. A group is named by its first image.

    Attributes:
        firsts: int [G], index of the first image of each group, ascending.
        by_digest: digest → indices of the first images of its groups, one group for each set.
        classes: first image → class name → index of the first image of that class in the group;
            only for groups of several images.
    """

    firsts: np.ndarray
    by_digest: dict[bytes, list[int]]
    classes: dict[int, dict[str, int]]

    def representatives(self, first: int, class_name: str) -> Iterator[int]:
        """Yields indices of at most three images that stand for all images of a group.

        They are the first image of the class, the first without a class, and the first of another
        class. A decision about duplicates depends only on set, class, and which image is first.

        Args:
            first: the first image of the group.
            class_name: the class of the image that the group is compared with.
        """
        classes = self.classes.get(first)
        if classes is None:
            yield first
            return
        other = next((name for name in classes if name not in (class_name, "")), None)
        for name in dict.fromkeys([class_name, "", other]):
            if name in classes:
                yield classes[name]


def group_equal_images(
    digests: Sequence[bytes], set_names: Iterable[str], class_names: Iterable[str]
) -> EqualImages:
    """Groups N images, given by their digests, the names of their sets, and their classes."""
    groups: dict[tuple[bytes, str], int] = {}
    by_digest: dict[bytes, list[int]] = {}
    classes: dict[int, dict[str, int]] = {}
    names = list(class_names)
    for index, key in enumerate(zip(digests, set_names, strict=True)):
        first = groups.setdefault(key, index)
        if first == index:
            by_digest.setdefault(key[0], []).append(index)
        else:
            group = classes.setdefault(first, {names[first]: first})
            group.setdefault(names[index], index)
    return EqualImages(np.fromiter(groups.values(), np.int64), by_digest, classes)
