# SPDX-License-Identifier: Apache-2.0
"""Images with equal bytes and different labels: at most one label of each group can be right."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from mixer_tf.deduplication.fingerprints import Fingerprints


class LabeledImage(NamedTuple):
    """An image with its label.

    Attributes:
        set_name: "train", "eval", "test", or the specification of another source.
        source: path or id of the image.
        class_name: name of its class.
    """

    set_name: str
    source: str
    class_name: str


Conflict = tuple[LabeledImage, ...]


def labeled_images(
    images: Fingerprints, comparable_sets: Collection[str]
) -> Iterator[tuple[bytes, LabeledImage]]:
    """Yields (digest, image) for each image whose class can be compared.

    Args:
        images: fingerprints of any set.
        comparable_sets: see `image_sets.find_comparable_sets`.
    """
    for digest, image in zip(images.digests, images.ids, strict=True):
        if image.class_name and image.set_name in comparable_sets:
            yield digest, LabeledImage(image.set_name, image.source, image.class_name)


def find_conflict(group: tuple[bytes, Iterable[LabeledImage]]) -> Iterator[Conflict]:
    """Yields the images with one digest, sorted, if their classes are not the same."""
    found = sorted(group[1])
    if len({image.class_name for image in found}) > 1:
        yield tuple(found)
