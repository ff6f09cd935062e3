# SPDX-License-Identifier: Apache-2.0
"""Compares images in Beam: with those of other sets, and with one another, in blocks.

A process holds one block of `blocks.BLOCK_SIZE` images, and up to half as many that are compared
with it, or three blocks within a set: about 0.5 GB, whatever the sizes of the sets. On an engine
that keeps side inputs in memory, such as Flink, the images of all other sets come on top.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.pvalue import AsMultiMap, AsSingleton
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from mixer_tf.deduplication import block_files, blocks, uniform_sets
from mixer_tf.deduplication.block_files import Tile
from mixer_tf.deduplication.fingerprints import Fingerprints, concatenate
from mixer_tf.deduplication.matching import Match
from mixer_tf.deduplication.uniform_sets import Samples, Similar
from mixer_tf.features import EVAL

_METRICS = "deduplicator"
# Images that are compared with all blocks at a time: 60 MB. They arrive in smaller records, because
# Flink cannot sort records of several times 128 images.
_BUFFER_SIZE = 4096

_Part = tuple[int, Fingerprints]


class FindUniformSets(beam.PTransform):
    """Fingerprints of all images of some sets → one tuple of the names of the uniform ones.

    Only a sample of each set is held; all images are compared with it where they are.
    """

    def expand(self, images):
        samples = (
            images
            | "Samples" >> beam.Map(uniform_sets.take_samples)
            | "All samples" >> beam.CombineGlobally(_MergeSamples())
        )
        return (
            images
            | "Similar" >> beam.Map(uniform_sets.find_similar, AsSingleton(samples))
            | "All similar" >> beam.CombineGlobally(uniform_sets.merge_similar)
            | "Uniform" >> beam.Map(_find_uniform_sets, AsSingleton(samples))
        )


class FindInSets(beam.PTransform):
    """Compares images with those of other sets: Fingerprints → Matches.

    Each worker loads one block of the others after the other. An engine that keeps side inputs in
    memory, such as Flink, keeps the fingerprints of all others, 16 kB for each image, once on
    each machine.

    Args:
        others: PCollection of the fingerprints of the other sets.
        uniform: PCollection of one tuple of the names of the uniform ones.
    """

    def __init__(self, others, uniform):
        super().__init__()
        self._others, self._uniform = others, uniform

    def expand(self, images):
        number = self._others | "Count others" >> _CountImages()
        parts = self._others | "Blocks" >> beam.FlatMap(_split, AsSingleton(number))
        return images | "Compare" >> beam.ParDo(
            _CompareWithBlocks(),
            AsSingleton(number),
            AsSingleton(self._uniform),
            AsMultiMap(parts),
        )


class FindInTests(beam.PTransform):
    """Compares evaluation images with test images: Fingerprints of both → Matches.

    The matches are those of `gallery.find_in_tests`.

    Args:
        uniform: PCollection of one tuple of the names of the uniform sets.
    """

    def __init__(self, uniform):
        super().__init__()
        self._uniform = uniform

    def expand(self, images):
        tests = images | "Tests" >> beam.FlatMap(_select_tests)
        return (
            images
            | "Evaluation" >> beam.FlatMap(_select_evaluation, AsSingleton(self._uniform))
            | "With tests" >> FindInSets(tests, self._uniform)
        )


class FindWithin(beam.PTransform):
    """Compares the images of a set with one another: Fingerprints → Matches with earlier images.

    Each fingerprint is sent once, to the worker that writes its block to a file; the workers that
    compare blocks read the files. Counters: "fingerprint_bytes_written", "fingerprint_bytes_read".

    Args:
        uniform: PCollection of one tuple with the name of the set, if it is uniform.
        folder: a folder that all workers reach, for the files; whoever runs the pipeline removes
            it afterwards.
    """

    def __init__(self, uniform, folder: str):
        super().__init__()
        self._uniform, self._folder = uniform, folder

    def expand(self, images):
        number = images | _CountImages()
        return (
            images
            | "Blocks" >> beam.FlatMap(_split, AsSingleton(number))
            | "Group" >> beam.GroupByKey()
            | "Write" >> beam.ParDo(_WriteBlock(self._folder))
            | "All blocks" >> beam.combiners.ToList()
            | "Tiles" >> beam.FlatMap(block_files.list_tiles)
            | "To all workers" >> beam.Reshuffle()
            | "Compare" >> beam.ParDo(_CompareTile(self._folder), AsSingleton(self._uniform))
        )


class _MergeSamples(beam.CombineFn):
    """Merges samples one after the other: Flink cannot sort a record of many of them."""

    def create_accumulator(self) -> Samples:
        return {}

    def add_input(self, accumulator: Samples, samples: Samples) -> Samples:
        return uniform_sets.merge_samples([accumulator, samples])

    def merge_accumulators(self, accumulators: Iterable[Samples]) -> Samples:
        return functools.reduce(self.add_input, accumulators, self.create_accumulator())

    def extract_output(self, accumulator: Samples) -> Samples:
        return accumulator


class _CountImages(beam.PTransform):
    def expand(self, images):
        return images | "Number" >> beam.Map(len) | "Sum" >> beam.CombineGlobally(sum)


class _CompareWithBlocks(beam.DoFn):
    """Compares some thousand images at a time with all blocks, so that each is loaded rarely.

    It keeps the last block, with which the next images are compared first.
    """

    def setup(self):
        self._index, self._block = None, None

    def start_bundle(self):
        self._images: list[Fingerprints] = []
        self._others = None

    def process(
        self,
        images: Fingerprints,
        num_others: int,
        uniform: tuple[str, ...],
        parts: Mapping[int, Iterable[Fingerprints]],
    ) -> Iterator[Match]:
        self._images.append(images)
        self._others = num_others, uniform, parts  # no arguments of `finish_bundle`
        if sum(map(len, self._images)) >= _BUFFER_SIZE:
            yield from self._compare()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        window = GlobalWindow()
        for match in self._compare():
            yield WindowedValue(match, window.max_timestamp(), (window,))
        self._others = None

    def _compare(self) -> Iterator[Match]:
        """Compares the images that have arrived, and forgets them."""
        if not self._images:
            return
        images, self._images = concatenate(self._images), []
        num_blocks = blocks.count_blocks(self._others[0])
        indices = range(num_blocks)
        for index in reversed(indices) if self._index == num_blocks - 1 else indices:
            self._load(index)
            yield from blocks.find_in_block(images, self._block)

    def _load(self, index: int) -> None:
        if index == self._index:
            return
        self._index, self._block = None, None  # before the next one is loaded
        _, uniform, parts = self._others
        self._block = uniform_sets.with_thresholds(concatenate(parts[index]), uniform)
        self._index = index


class _WriteBlock(beam.DoFn):
    """(number of a block, parts of its fingerprints) → the number, when its file is written."""

    def __init__(self, folder: str):
        super().__init__()
        self._folder = folder
        self._num_bytes = Metrics.counter(_METRICS, "fingerprint_bytes_written")

    def process(self, group: tuple[int, Iterable[Fingerprints]]) -> Iterator[int]:
        number, parts = group
        self._num_bytes.inc(block_files.write_block(self._folder, number, concatenate(parts)))
        yield number


class _CompareTile(beam.DoFn):
    """Tile → Matches."""

    def __init__(self, folder: str):
        super().__init__()
        self._folder = folder
        self._num_bytes = Metrics.counter(_METRICS, "fingerprint_bytes_read")

    def process(self, tile: Tile, uniform: tuple[str, ...]) -> Iterator[Match]:
        def read(number: int) -> Fingerprints:
            images, num_bytes = block_files.read_block(self._folder, number)
            self._num_bytes.inc(num_bytes)
            return uniform_sets.with_thresholds(images, uniform)

        return block_files.find_within(tile, read)


def _select_evaluation(images: Fingerprints, uniform: tuple[str, ...]) -> Iterator[Fingerprints]:
    for found in _select(images, lambda name: name == EVAL):
        yield uniform_sets.with_thresholds(found, uniform)


def _select_tests(images: Fingerprints) -> Iterator[Fingerprints]:
    return _select(images, lambda name: name != EVAL)


def _select(images: Fingerprints, is_wanted: Callable[[str], bool]) -> Iterator[Fingerprints]:
    """The images of some sets; nothing if there are none, so that no block is loaded for them."""
    found = [index for index, image in enumerate(images.ids) if is_wanted(image.set_name)]
    if found:
        yield images.take(found)


def _split(images: Fingerprints, num_images: int) -> Iterator[_Part]:
    return blocks.split(images, blocks.count_blocks(num_images))


def _find_uniform_sets(similar: Mapping[str, Similar], samples: Samples) -> tuple[str, ...]:
    return uniform_sets.find_uniform_sets(samples, similar)
