# SPDX-License-Identifier: Apache-2.0
"""What is kept of an image in order to compare it: about three kilobytes, whatever its size."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from mixer_tf import images
from mixer_tf.deduplication.descriptor import THUMBNAIL_SIZE, describe, is_gray
from mixer_tf.deduplication.thresholds import image_thresholds
from mixer_tf.features import ImageRecord
from mixer_tf.images import thumbnails

_BATCH = 256


@dataclasses.dataclass(frozen=True)
class ImageId:
    """Which image it is, for the reader of the report and for finding it again.

    Attributes:
        set_name: "train", "eval", "test", or the specification of another source.
        source: path or id within it.
        class_name: name of its class, or "".
        entry: the work item that it was read from, such as the path of a shard.
        index: its index among the images of that item.
    """

    set_name: str
    source: str
    class_name: str
    work_item: Any
    index: int


@dataclasses.dataclass(frozen=True)
class Fingerprints:
    """The fingerprints of N images, and how many more could not be read.

    Attributes:
        ids: one for each image.
        digests: of the encoded bytes, one for each image.
        thumbnails: uint8 [N, 32, 32, 3] in YCbCr.
        descriptors: int8 [N, 119].
        thresholds: float32 [N], how alike a copy of each must be; see `rules`.
        grey: bool [N], whether the image has no colour.
        unreadable: set name → images that are not among the N, because they cannot be decoded.
    """

    ids: tuple[ImageId, ...]
    digests: tuple[bytes, ...]
    thumbnails: np.ndarray
    descriptors: np.ndarray
    thresholds: np.ndarray
    grey: np.ndarray
    unreadable: collections.Counter = dataclasses.field(default_factory=collections.Counter)

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, indices: Sequence[int]) -> Fingerprints:
        """The images at these indices, in this order."""
        return Fingerprints(
            tuple(self.ids[index] for index in indices),
            tuple(self.digests[index] for index in indices),
            self.thumbnails[indices],
            self.descriptors[indices],
            self.thresholds[indices],
            self.grey[indices],
        )


class _Reading(NamedTuple):
    """One image, just read; no thumbnail where it cannot be decoded."""

    image_id: ImageId
    digest: bytes
    shorter_side: int
    thumbnail: np.ndarray | None


def sort_key(image: ImageId) -> tuple[str, str, int]:
    """The order of images: by set and source, and where those are equal by index."""
    return image.set_name, image.source, image.index


def fingerprint(
    records: Iterable[ImageRecord], set_name: str, work_item: Any = None
) -> Iterator[Fingerprints]:
    """Fingerprints the images of one work item, a few hundred at a time.

    Args:
        records: the images of the item, in the order in which it gives them every time.
        set_name: the split or the specification that the report shall name.
        entry: the work item.
    """
    readings = (
        _read(record, ImageId(set_name, record.source, record.class_name, work_item, index))
        for index, record in enumerate(records)
    )
    while batch := list(itertools.islice(readings, _BATCH)):
        readable = [reading for reading in batch if reading.thumbnail is not None]
        unreadable = collections.Counter({set_name: len(batch) - len(readable)})
        yield dataclasses.replace(_describe(readable), unreadable=unreadable)


def concatenate(parts: Iterable[Fingerprints]) -> Fingerprints:
    """Puts fingerprints together in the order of `sort_key`, whatever the order of the parts."""
    parts = [_describe([]), *parts]
    together = Fingerprints(
        tuple(itertools.chain.from_iterable(part.ids for part in parts)),
        tuple(itertools.chain.from_iterable(part.digests for part in parts)),
        np.concatenate([part.thumbnails for part in parts]),
        np.concatenate([part.descriptors for part in parts]),
        np.concatenate([part.thresholds for part in parts]),
        np.concatenate([part.grey for part in parts]),
    )
    order = sorted(range(len(together)), key=lambda index: sort_key(together.ids[index]))
    unreadable = sum((part.unreadable for part in parts), collections.Counter())
    return dataclasses.replace(together.take(order), unreadable=unreadable)


def _read(record: ImageRecord, image_id: ImageId) -> _Reading:
    digest = hashlib.sha256(record.encoded).digest()
    return _Reading(image_id, digest, min(record.width, record.height), _thumbnail(record))


def _thumbnail(record: ImageRecord) -> np.ndarray | None:
    if record.problem:
        return None
    try:
        return thumbnails.make_thumbnail(record.encoded, THUMBNAIL_SIZE)
    except images.UnusableImageError:
        return None


def _describe(readings: list[_Reading]) -> Fingerprints:
    shape = (-1, THUMBNAIL_SIZE, THUMBNAIL_SIZE, 3)
    pixels = np.array([reading.thumbnail for reading in readings], np.uint8).reshape(shape)
    sides = np.array([reading.shorter_side for reading in readings])
    return Fingerprints(
        ids=tuple(reading.image_id for reading in readings),
        digests=tuple(reading.digest for reading in readings),
        thumbnails=pixels,
        descriptors=describe(pixels),
        thresholds=image_thresholds(pixels[..., 0], sides),
        grey=is_gray(pixels),
    )
