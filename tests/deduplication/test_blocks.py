# SPDX-License-Identifier: Apache-2.0
"""Matches in blocks equal those of the whole set, for every number of blocks."""

import dataclasses
import io
import itertools
import pathlib

import numpy as np
import pytest
from PIL import Image

from mixer_tf.datasets.files import make_record
from mixer_tf.deduplication import block_files, blocks, uniform_sets
from mixer_tf.deduplication.fingerprints import (
    _ARRAYS,
    Fingerprints,
    concatenate,
    fingerprint,
)
from mixer_tf.deduplication.matching import find_matches


@pytest.fixture(scope="module")
def images() -> Fingerprints:
    """240 images of two classes, shuffled; 80 are crops of others and 40 are copies."""
    return make_images("train", 0)


def make_images(set_name: str, seed: int) -> Fingerprints:
    def encoded(number: int, quality: int) -> bytes:
        small = np.random.default_rng(number).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        image = Image.fromarray(small).resize((64, 48), Image.Resampling.BICUBIC)
        image = image if quality == 90 else image.crop((3, 2, 61, 46))
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality)
        return file.getvalue()

    kinds = [(number, 90) for number in range(120)]
    kinds += [(number % 40, 70 + number // 40) for number in range(80)]
    kinds += [(number % 10, 90) for number in range(40)]
    order = np.random.default_rng(seed).permutation(len(kinds))
    records = [
        dataclasses.replace(
            make_record(encoded(*kinds[index]), None, "", f"{position:03}.jpg"),
            class_name=("cat", "dog")[index % 2],
        )
        for position, index in enumerate(order.tolist())
    ]
    return concatenate(fingerprint(records, set_name, "shard"))


def in_blocks(images: Fingerprints, num_blocks: int) -> dict[int, Fingerprints]:
    """The images as workers get them: in parts, which are put together for each block."""
    parts = [images.take(range(start, min(start + 50, 240))) for start in range(0, 240, 50)]
    found = {index: [] for index in range(num_blocks)}
    for part in reversed(parts):
        for index, block in blocks.split(part, num_blocks):
            found[index].append(block)
    return {index: concatenate(items) for index, items in found.items()}


@pytest.mark.parametrize("num_blocks", [1, 2, 17])
def test_duplicates_within_a_set(images, num_blocks):
    expected = set(find_matches(images, images, np.arange(len(images))))
    assert len(expected) > 150
    by_index = in_blocks(images, num_blocks)
    tiles = block_files.list_tiles(by_index)
    found = [match for tile in tiles for match in block_files.find_within(tile, by_index.get)]
    assert len(found) == len(set(found))
    assert set(found) == expected


@pytest.mark.parametrize("num_blocks", [1, 5])
def test_duplicates_in_other_sets(images, num_blocks):
    others = make_images("test", 1)
    expected = set(find_matches(images, others))
    assert len(expected) > 300
    found = [
        match
        for block in in_blocks(others, num_blocks).values()
        for match in blocks.find_in_block(images, block)
    ]
    assert len(found) == len(expected)
    assert set(found) == expected


def test_uniform_sets_are_found_by_samples_of_parts(images):
    sets = concatenate([images, dataclasses.replace(images, ids=_renamed(images, "folder:/x"))])
    parts = [sets.take(range(start, start + 60)) for start in range(0, len(sets), 60)]
    samples = uniform_sets.merge_samples(map(uniform_sets.take_samples, parts))
    whole = uniform_sets.take_samples(sets)
    assert {key: sample.images.digests for key, sample in samples.items()} == {
        key: sample.images.digests for key, sample in whole.items()
    }
    similar = uniform_sets.merge_similar(uniform_sets.find_similar(part, samples) for part in parts)
    assert similar == uniform_sets.find_similar(sets, whole)
    assert similar.keys() == {"", "folder:/x"} and len(similar[""].edges) > 60
    names = uniform_sets.find_uniform_sets(samples, similar)
    raised, expected = uniform_sets.raise_thresholds(sets)
    assert names == expected == ()  # They are crops of other images of the set.
    np.testing.assert_array_equal(
        uniform_sets.with_thresholds(sets, names).thresholds, raised.thresholds
    )


@pytest.mark.parametrize("num_blocks", [0, 1, 7, 8, 17, 123, 200])
def test_tiles_have_every_pair_of_blocks_once(num_blocks):
    numbers = [3 * number for number in range(num_blocks)]
    tiles = block_files.list_tiles(reversed(numbers))
    found = [(i, j) for tile in tiles for i in tile.held for j in tile.read if i <= j]
    assert sorted(found) == list(itertools.combinations_with_replacement(numbers, 2))
    assert all(len(tile.held) <= 2 and len(tile.read) <= 16 for tile in tiles)


def test_a_million_images_have_enough_workers_and_are_read_as_often_as_stated():
    tiles = block_files.list_tiles(range(blocks.count_blocks(10**6)))
    assert len(tiles) == 272
    assert sum(tile.num_files for tile in tiles) / 123 == pytest.approx(34.7, abs=0.1)
    few = block_files.list_tiles(range(7))
    assert len(few) == 28  # a worker for each pair


def test_a_block_in_a_file_is_the_same(images, tmp_path):
    folder = str(tmp_path / "new")
    size = block_files.write_block(folder, 7, images)
    found, num_bytes = block_files.read_block(folder, 7)
    assert found.ids == images.ids and found.digests == images.digests
    for name in _ARRAYS:
        np.testing.assert_array_equal(getattr(found, name), getattr(images, name))
    assert [path.stat().st_size for path in pathlib.Path(folder).iterdir()] == [size]
    assert num_bytes == size


def test_the_number_of_blocks_follows_the_number_of_images(monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_SIZE", 10)
    assert [blocks.count_blocks(number) for number in (0, 1, 10, 11, 100)] == [1, 1, 1, 2, 10]


def _renamed(images: Fingerprints, set_name: str) -> tuple:
    return tuple(dataclasses.replace(image, set_name=set_name) for image in images.ids)
