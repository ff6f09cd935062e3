# SPDX-License-Identifier: Apache-2.0
"""Statistics of images, for each split and class: sums and histograms that can be merged exactly.

All sums are integers, so the result does not depend on the order or the number of workers. About
four kilobytes are held for each class of each split. No TensorFlow.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import heapq
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from mixer_tf.features import ImageRecord
from mixer_tf.images import UnusableImageError
from mixer_tf.images.measurement import Measurement, measure
from mixer_tf.messages import printable

MAX_EXAMPLES = 5  # named images of each kind
UNKNOWN_FORMAT = "unknown"
_NUM_BINS = 32
# Sums hold multiples of 1/256, so that they are exact for billions of images.
_SCALE = 256
_CHANNELS = ("red", "green", "blue")


@dataclasses.dataclass(frozen=True)
class Histogram:
    """The bins of a measure, of equal width; the first and the last also hold what is beyond.

    Attributes:
        title: what is measured, with its unit.
        low, high: the range of the bins; log2 of the range if `is_log`.
        is_log: whether the bins are equally wide in log2.
        ticks: values to write on an axis.
    """

    title: str
    low: float
    high: float
    is_log: bool = False
    ticks: tuple[float, ...] = ()

    def position(self, value: float) -> float:
        """Where a value is on an axis of the bins: 1.5 in the middle of the second one."""
        place = math.log2(value) if self.is_log else value
        return (place - self.low) * _NUM_BINS / (self.high - self.low)

    def bin_of(self, value: float) -> int:
        return min(max(math.floor(self.position(value)), 0), _NUM_BINS - 1)

    def edges(self) -> list[float]:
        """The limits of the bins, 33 values."""
        edges = np.linspace(self.low, self.high, _NUM_BINS + 1)
        return (2**edges if self.is_log else edges).tolist()


_LEVELS, _CONTRASTS = tuple(range(0, 257, 32)), tuple(range(0, 129, 16))
_SIDES = tuple(2**power for power in range(2, 19))
_ASPECTS = (1 / 4, 1 / 3, 1 / 2, 3 / 4, 1, 4 / 3, 2, 3)
# Half an octave for each bin; and an eighth, with a bin around 1.
_SIDE_RANGE, _ASPECT_RANGE = (2, 18), (-2.0625, 1.9375)
HISTOGRAMS = {
    "shorter_side": Histogram("shorter side in pixels", *_SIDE_RANGE, True, _SIDES),
    "aspect_ratio": Histogram("aspect ratio, width / height", *_ASPECT_RANGE, True, _ASPECTS),
    "brightness": Histogram("brightness, mean of luma", 0, 256, ticks=_LEVELS),
    "contrast": Histogram("contrast, standard deviation of luma", 0, 128, ticks=_CONTRASTS),
    **{name: Histogram(f"mean of {name}", 0, 256, ticks=_LEVELS) for name in _CHANNELS},
}
_ROWS = {name: row for row, name in enumerate(HISTOGRAMS)}

# The sums of each group, and the power of the value that is summed.
_SUMS = ("bytes", "width", "height", "brightness", "contrast", *_CHANNELS)
_SQUARES = ("brightness", "contrast", *_CHANNELS)


class GroupStatistics:
    """The statistics of some images, to which images and other statistics can be added.

    Attributes:
        images: number of images that can be decoded; all others count these.
        unreadable: number of other images.
        gray, flat: number of images without color, and of nearly one color.
        formats: name of the format → number of images.
        smallest, largest: the smallest and largest (width, height), side by side.
        histograms: int64 [7, 32], in the order of `HISTOGRAMS`.
        examples: "unreadable" or "flat" → the first sources by name, at most `MAX_EXAMPLES`.
    """

    def __init__(self):
        self.images = self.unreadable = self.gray = self.flat = 0
        self.formats: collections.Counter = collections.Counter()
        self.smallest: tuple[int, int] | None = None
        self.largest: tuple[int, int] | None = None
        self.histograms = np.zeros((len(HISTOGRAMS), _NUM_BINS), np.int64)
        self.examples: dict[str, list[str]] = {"unreadable": [], "flat": []}
        self._sums = dict.fromkeys(_SUMS, 0)
        self._squares = dict.fromkeys(_SQUARES, 0)

    def add(self, record: ImageRecord, found: Measurement | None) -> None:
        """Adds an image; `found` is None if it cannot be decoded."""
        if found is None:
            self.unreadable += 1
            self._note("unreadable", [printable(record.source)])
            return
        self.images += 1
        self.gray += found.is_gray
        self.flat += found.is_flat
        self.formats[record.format or UNKNOWN_FORMAT] += 1
        if found.is_flat:
            self._note("flat", [printable(record.source)])
        self._extend((found.width, found.height), (found.width, found.height))
        self._add_numbers(found, len(record.encoded))

    def _add_numbers(self, found: Measurement, num_bytes: int) -> None:
        sums, squares = self._sums, self._squares
        sums["bytes"] += num_bytes
        sums["width"] += found.width
        sums["height"] += found.height
        values = {"brightness": found.brightness, "contrast": found.contrast}
        for name, value in values.items():
            scaled = round(value * _SCALE)
            sums[name] += scaled
            squares[name] += scaled * scaled
        for name, mean, square in zip(_CHANNELS, found.means, found.squares, strict=True):
            sums[name] += round(mean * _SCALE)
            squares[name] += round(square * _SCALE * _SCALE)
            values[name] = mean
        values["shorter_side"] = min(found.width, found.height)
        values["aspect_ratio"] = found.width / found.height
        for name, histogram in HISTOGRAMS.items():
            self.histograms[_ROWS[name], histogram.bin_of(values[name])] += 1

    def merge(self, other: GroupStatistics) -> None:
        """Adds the images of another group."""
        for name in ("images", "unreadable", "gray", "flat"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.formats.update(other.formats)
        if other.smallest:
            self._extend(other.smallest, other.largest)
        self.histograms += other.histograms
        for kind, sources in other.examples.items():
            self._note(kind, sources)
        for mine, others in ((self._sums, other._sums), (self._squares, other._squares)):
            for name, value in others.items():
                mine[name] += value

    def mean(self, name: str) -> float:
        """The mean over images of "bytes", "width", "height", or a measure of `HISTOGRAMS`."""
        scale = 1 if name in ("bytes", "width", "height") else _SCALE
        return self._sums[name] / scale / self.images if self.images else math.nan

    def std(self, name: str) -> float:
        """The standard deviation of "brightness" or "contrast" over images.

        For "red", "green" and "blue" it is that over all pixels, where each image counts as one.
        """
        if not self.images:
            return math.nan
        square = self._squares[name] / _SCALE**2 / self.images
        return math.sqrt(max(0.0, square - self.mean(name) ** 2))

    def histogram(self, name: str) -> np.ndarray:
        """Number of images in each bin of a measure, int64 [32]."""
        return self.histograms[_ROWS[name]]

    def to_dict(self, with_histograms: bool = True) -> dict[str, Any]:
        """The statistics as JSON values."""
        found = {
            "images": self.images,
            "unreadable": self.unreadable,
            "grayscale": self.gray,
            "near_constant": self.flat,
            "formats": dict(sorted(self.formats.items())),
            "smallest": self.smallest,
            "largest": self.largest,
            "examples": self.examples,
        }
        if self.images:
            found["mean"] = {name: round(self.mean(name), 4) for name in _SUMS}
            found["std"] = {name: round(self.std(name), 4) for name in _SQUARES}
        if with_histograms:
            found["histograms"] = {
                name: {"edges": histogram.edges(), "counts": self.histogram(name).tolist()}
                for name, histogram in HISTOGRAMS.items()
            }
        return found

    def _extend(self, smallest: tuple[int, int], largest: tuple[int, int]) -> None:
        self.smallest = tuple(map(min, self.smallest or smallest, smallest))
        self.largest = tuple(map(max, self.largest or largest, largest))

    def _note(self, kind: str, sources: Iterable[str]) -> None:
        self.examples[kind] = heapq.nsmallest(MAX_EXAMPLES, [*self.examples[kind], *sources])


class DatasetStatistics:
    """The statistics of each class of each split.

    Attributes:
        groups: (split, class name) → statistics; the name is empty for images without a label.
    """

    def __init__(self):
        self.groups: dict[tuple[str, str], GroupStatistics] = {}

    def add(self, record: ImageRecord, split: str) -> None:
        """Decodes and adds an image."""
        found = None
        if not record.problem:
            with contextlib.suppress(UnusableImageError):
                found = measure(record.encoded, record.width, record.height)
        self._group(split, printable(record.class_name)).add(record, found)

    def merge(self, other: DatasetStatistics) -> None:
        """Adds the images of another dataset, or of another part of this one."""
        for key, group in other.groups.items():
            self._group(*key).merge(group)

    @property
    def splits(self) -> list[str]:
        """The splits with images, in the usual order."""
        order = ("train", "eval", "test")
        found = {split for split, _ in self.groups}
        return [*(split for split in order if split in found), *sorted(found.difference(order))]

    def of_split(self, split: str) -> GroupStatistics:
        """The statistics of all classes of a split."""
        together = GroupStatistics()
        for group in self.of_classes(split).values():
            together.merge(group)
        return together

    def of_classes(self, split: str) -> dict[str, GroupStatistics]:
        """Class name → its statistics in a split, sorted by name."""
        return {name: self.groups[key, name] for key, name in sorted(self.groups) if key == split}

    def _group(self, split: str, class_name: str) -> GroupStatistics:
        return self.groups.setdefault((split, class_name), GroupStatistics())


def measure_records(records: Iterable[ImageRecord], split: str) -> DatasetStatistics:
    """Measures the images of one split, or of one work item of it."""
    found = DatasetStatistics()
    for record in records:
        found.add(record, split)
    return found


def merge_all(parts: Iterable[DatasetStatistics]) -> DatasetStatistics:
    """Returns the statistics of all parts; the parts do not change."""
    together = DatasetStatistics()
    for part in parts:
        together.merge(part)
    return together
