# SPDX-License-Identifier: Apache-2.0
"""What a comparison calls an image of the training source whose id other images have as well.

Records of TFRecord files often have the name of a file as id, such as "0001.jpg" in each class. All
results name such an image by its number, as `--exclude` and `--keep-duplicates` take it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from mixer_tf.datasets.excluded_images import numbered_name
from mixer_tf.datasets.sources.source import Source
from mixer_tf.deduplication.fingerprints import ImageId
from mixer_tf.deduplication.matching import Match
from mixer_tf.deduplication.removals import Removal
from mixer_tf.deduplication.standalone import fingerprint_files
from mixer_tf.deduplication.standalone.comparison import Comparison
from mixer_tf.deduplication.standalone.store import Item, Store


@dataclasses.dataclass(frozen=True)
class ImageNames:
    """The names of images.

    Attributes:
        source: the source of the training images.
        repeated: hashes of the ids that several images of the source have.
        starts: number of a work item of the source → its split, and the index of its first image
            among all images of the split.
    """

    source: Source
    repeated: frozenset[int]
    starts: Mapping[int, tuple[str, int]]

    def is_repeated(self, image: ImageId) -> bool:
        """Whether the image is one of the source, and its id that of another image as well."""
        return image.work_item in self.starts and hash(image.source) in self.repeated

    def rename(self, image: ImageId) -> ImageId:
        """Returns the image with a name that no other one has in place of its path or id."""
        if not self.is_repeated(image):
            return image
        split, start = self.starts[image.work_item]
        name = self.source.relative_name(image.source)
        return dataclasses.replace(image, source=numbered_name(split, start + image.index, name))

    def rename_match(self, match: Match) -> Match:
        """Returns the match with the names of both images."""
        image, other = self.rename(match.image), self.rename(match.other)
        return dataclasses.replace(match, image=image, other=other)

    def rename_removal(self, removal: Removal) -> Removal:
        """Returns the removal with the names of all images."""
        conflict = removal.conflict and self.rename_match(removal.conflict)
        match = self.rename_match(removal.match)
        return dataclasses.replace(removal, match=match, conflict=conflict)


def find_names(store: Store, comparison: Comparison, items: Iterable[Item]) -> ImageNames:
    """Finds the names by the ids of all images, of which a number of 8 bytes each is in memory."""
    starts: dict[int, tuple[str, int]] = {}
    sizes: dict[str, int] = {}
    hashes = [np.zeros(0, np.int64)]
    for item, split in _own_items(comparison, items):
        starts[item.number] = split, sizes.get(split, 0)
        for sources, num_images in store.read_files(item, fingerprint_files.read_sources):
            hashes.append(np.fromiter(map(hash, sources), np.int64, len(sources)))
            sizes[split] = sizes.get(split, 0) + num_images
    ordered = np.sort(np.concatenate(hashes))
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    return ImageNames(comparison.train, frozenset(repeated.tolist()), starts)


def _own_items(comparison: Comparison, items: Iterable[Item]) -> Iterator[tuple[Item, str]]:
    """The work items of the training source, in its order, each with its split."""
    by_set: dict[str, list[Item]] = {}
    for item in items:
        by_set.setdefault(item.set_name, []).append(item)
    for each in comparison.sets:
        if each.source is comparison.train:
            yield from zip(by_set.get(each.name, ()), each.splits, strict=True)
