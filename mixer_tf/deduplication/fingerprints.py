# SPDX-License-Identifier: Apache-2.0
"""Fingerprints, by which images are compared: about 16 kilobytes per image of any size.

In memory, an image that is compared takes about 20: its whole view is kept, and its id.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from mixer_tf import images
from mixer_tf.deduplication import views
from mixer_tf.deduplication.descriptor import DIMENSION, describe, is_gray
from mixer_tf.deduplication.equal_images import EqualImages, group_equal_images
from mixer_tf.deduplication.thresholds import DUPLICATE, image_thresholds
from mixer_tf.features import ImageRecord
from mixer_tf.images import thumbnails

_BATCH_SIZE = 128
# The fields that are arrays with a row for each image, in their order.
_ARRAYS = (
    *("thumbnails", "boxes", "has_view", "descriptors", "small_views"),
    *("photographic", "thresholds", "gray"),
)


@dataclasses.dataclass(frozen=True)
class ImageId:
    """Identifies an image in the report and in its source.

    Attributes:
        set_name: "train", "eval", "test", or the specification of another source.
        source: path or id of the image.
        class_name: name of its class, or "".
        work_item: the work item that contains it, such as the path of a shard.
        index: its index among the images of the work item.
    """

    set_name: str
    source: str
    class_name: str
    work_item: Any
    index: int


@dataclasses.dataclass(frozen=True)
class Fingerprints:
    """The fingerprints of N images, and the number of images that cannot be decoded.

    Attributes:
        ids: N ids.
        digests: N digests of the encoded bytes.
        thumbnails: uint8 [N, 64, 64, 3] in YCbCr.
        boxes: float32 [N, 8, 4], where the views of each thumbnail are; see `views.boxes`.
        has_view: bool [N, 8], which views each image has.
        descriptors: int8 [N, 8, 119], of the views; zero where there is none.
        small_views: uint8 [N, 8, 16, 16], luma of the views; zero where there is none.
        photographic: bool [N], whether a turned copy could be found; see `views.is_photographic`.
        thresholds: float32 [N], the threshold for duplicates of each image; see `thresholds`.
        gray: bool [N], whether the image has no color.
        unreadable: set name → number of other images, which cannot be decoded.
    """

    ids: tuple[ImageId, ...]
    digests: tuple[bytes, ...]
    thumbnails: np.ndarray
    boxes: np.ndarray
    has_view: np.ndarray
    descriptors: np.ndarray
    small_views: np.ndarray
    photographic: np.ndarray
    thresholds: np.ndarray
    gray: np.ndarray
    unreadable: collections.Counter = dataclasses.field(default_factory=collections.Counter)

    def __len__(self) -> int:
        return len(self.ids)

    @functools.cached_property
    def whole(self) -> np.ndarray:
        """The views of the whole images, uint8 [N, 32, 32, 3] in YCbCr."""
        return views.crop(self.thumbnails, self.boxes[:, views.WHOLE])

    @functools.cached_property
    def equal_images(self) -> EqualImages:
        """The images in groups of equal bytes."""
        set_names = (image.set_name for image in self.ids)
        class_names = (image.class_name for image in self.ids)
        return group_equal_images(self.digests, set_names, class_names)

    def slice(self, start: int, stop: int) -> Fingerprints:
        """Returns the images from one index to another, whose arrays are not copied."""
        part = slice(start, stop)
        arrays = (getattr(self, name)[part] for name in _ARRAYS)
        return Fingerprints(self.ids[part], self.digests[part], *arrays)

    def take(self, indices: Sequence[int]) -> Fingerprints:
        """Returns copies of the images at these indices, in this order."""
        return Fingerprints(
            tuple(self.ids[index] for index in indices),
            tuple(self.digests[index] for index in indices),
            *(getattr(self, name)[indices] for name in _ARRAYS),
        )


class Reading(NamedTuple):
    """One image that was read.

    Attributes:
        image_id: its id.
        digest: SHA-256 of the encoded bytes.
        shorter_side: its shorter side in pixels.
        thumbnail: uint8 [64, 64, 3] in YCbCr; None if the image cannot be decoded.
    """

    image_id: ImageId
    digest: bytes
    shorter_side: int
    thumbnail: np.ndarray | None


def sort_key(image: ImageId) -> tuple[str, str, int]:
    """Returns the sort key of images: set, source, and index if those are equal."""
    return image.set_name, image.source, image.index


def fingerprint_shard(
    shard: Any,
    reader: Callable[[Any], Iterable[ImageRecord]],
    set_name: str,
    threshold: float = DUPLICATE,
) -> Iterator[Fingerprints]:
    """Reads and fingerprints the images of one work item, a few hundred at a time.

    Args:
        shard: the work item.
        reader: work item → its images, in the same order every time.
        set_name: the split or the specification that the report names.
        threshold: the threshold for photographs.
    """
    return fingerprint(reader(shard), set_name, shard, threshold)


def fingerprint(
    records: Iterable[ImageRecord],
    set_name: str,
    work_item: Any = None,
    threshold: float = DUPLICATE,
) -> Iterator[Fingerprints]:
    """Fingerprints images in batches; arguments as in `fingerprint_shard`."""
    readings = (
        _read(record, ImageId(set_name, record.source, record.class_name, work_item, index))
        for index, record in enumerate(records)
    )
    while batch := list(itertools.islice(readings, _BATCH_SIZE)):
        readable = [reading for reading in batch if reading.thumbnail is not None]
        unreadable = collections.Counter({set_name: len(batch) - len(readable)})
        yield dataclasses.replace(make_fingerprints(readable, threshold), unreadable=unreadable)


def concatenate(parts: Iterable[Fingerprints]) -> Fingerprints:
    """Concatenates fingerprints in the order of `sort_key`, whatever the order of the parts.

    Needs memory for all parts and for the result.
    """
    parts = [make_fingerprints([]), *parts]
    ids = [*itertools.chain.from_iterable(part.ids for part in parts)]
    digests = [*itertools.chain.from_iterable(part.digests for part in parts)]
    order = sorted(range(len(ids)), key=lambda index: sort_key(ids[index]))
    ranks = np.empty(len(ids), np.int64)
    ranks[order] = np.arange(len(ids))
    return Fingerprints(
        tuple(ids[index] for index in order),
        tuple(digests[index] for index in order),
        *(_scatter([getattr(part, name) for part in parts], ranks) for name in _ARRAYS),
        unreadable=sum((part.unreadable for part in parts), collections.Counter()),
    )


def _scatter(parts: Sequence[np.ndarray], ranks: np.ndarray) -> np.ndarray:
    """The rows of all parts, each at its rank, without a copy that is not the result."""
    found = np.empty((len(ranks), *parts[0].shape[1:]), parts[0].dtype)
    start = 0
    for part in parts:
        found[ranks[start : start + len(part)]] = part
        start += len(part)
    return found


def _read(record: ImageRecord, image_id: ImageId) -> Reading:
    digest = hashlib.sha256(record.encoded).digest()
    return Reading(image_id, digest, min(record.width, record.height), _thumbnail(record))


def _thumbnail(record: ImageRecord) -> np.ndarray | None:
    if record.problem:
        return None
    try:
        return thumbnails.make_thumbnail(record.encoded, views.STORED_SIZE)
    except images.UnusableImageError:
        return None


def make_fingerprints(readings: Sequence[Reading], threshold: float = DUPLICATE) -> Fingerprints:
    """Returns the fingerprints of images that were decoded.

    Args:
        readings: the images; all have a thumbnail.
        threshold: the threshold for photographs.
    """
    shape = (-1, views.STORED_SIZE, views.STORED_SIZE, 3)
    stored = np.array([reading.thumbnail for reading in readings], np.uint8).reshape(shape)
    sides = np.array([reading.shorter_side for reading in readings], np.int64)
    boxes, has_view = views.boxes(stored, sides)
    whole = views.crop(stored, boxes[:, views.WHOLE])
    gray = is_gray(whole)
    photographic = views.is_photographic(stored, boxes, has_view, gray)
    has_view[:, views.ONE_SIDED] &= photographic[:, None]
    descriptors, small_views = _describe_views(stored, boxes, has_view)
    return Fingerprints(
        ids=tuple(reading.image_id for reading in readings),
        digests=tuple(reading.digest for reading in readings),
        thumbnails=stored,
        boxes=boxes,
        has_view=has_view,
        descriptors=descriptors,
        small_views=small_views,
        photographic=photographic,
        thresholds=image_thresholds(whole[..., 0], sides, threshold),
        gray=gray,
    )


def _describe_views(
    stored: np.ndarray, boxes: np.ndarray, has_view: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The descriptors and the small views; zero where an image has no such view."""
    descriptors = np.zeros((*has_view.shape, DIMENSION), np.int8)
    small = np.zeros((*has_view.shape, views.SMALL_SIZE, views.SMALL_SIZE), np.uint8)
    for view in np.flatnonzero(has_view.any(0)):
        has = has_view[:, view]
        cropped = views.crop(stored[has], boxes[has, view])
        descriptors[has, view] = describe(cropped)
        small[has, view] = views.shrink(cropped[..., :1])[..., 0]
    return descriptors, small
