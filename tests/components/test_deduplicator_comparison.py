# SPDX-License-Identifier: Apache-2.0
"""How often the blocks of the other sets are loaded, and that it does not change what is found."""

import io

import numpy as np
import pytest
from apache_beam.utils.windowed_value import WindowedValue
from PIL import Image

from components.deduplicator import comparison
from mixer_tf.datasets.files import make_record
from mixer_tf.deduplication import blocks
from mixer_tf.deduplication.fingerprints import Fingerprints, concatenate, fingerprint
from mixer_tf.deduplication.matching import Match, find_matches

_NUM_BLOCKS = 3


def make_images(set_name: str, numbers: range, size: int) -> Fingerprints:
    """Smooth random images that depend on their numbers."""
    records = [make_record(encode(number, size), 0, "cat", f"{number:03}") for number in numbers]
    return concatenate(fingerprint(records, set_name, "shard"))


def encode(number: int, size: int) -> bytes:
    small = np.random.default_rng(number).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(small).resize((size, size), Image.Resampling.BICUBIC).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def train() -> Fingerprints:
    return make_images("train", range(40), 48)


@pytest.fixture(scope="module")
def tests() -> Fingerprints:
    return make_images("test", range(20, 60), 44)


class Parts(dict):
    """The side input; it counts how often a block is read."""

    num_loads = 0

    def __getitem__(self, index: int):
        self.num_loads += 1
        return super().__getitem__(index)


def compare(
    dofn: comparison._CompareWithBlocks, bundles: list[list[Fingerprints]], parts: Parts
) -> list[Match]:
    num_others = sum(map(len, (part for several in parts.values() for part in several)))
    found = []
    for bundle in bundles:
        dofn.start_bundle()
        for images in bundle:
            found += dofn.process(images, num_others, (), parts)
        rest = list(dofn.finish_bundle())
        assert all(isinstance(each, WindowedValue) for each in rest)
        found += [each.value for each in rest]
    return found


@pytest.mark.parametrize(("buffer_size", "num_loads"), [(1000, 5), (10, 11), (1, 17)])
def test_blocks_are_loaded_once_for_many_images(train, tests, monkeypatch, buffer_size, num_loads):
    """Of five and three records, in two bundles; the first time 3 blocks are loaded, then 2."""
    monkeypatch.setattr(comparison, "_BUFFER_SIZE", buffer_size)
    monkeypatch.setattr(blocks, "BLOCK_SIZE", 14)  # 3 blocks
    parts = Parts()
    for index, block in blocks.split(tests, _NUM_BLOCKS):
        parts.setdefault(index, []).append(block)
    records = [train.take(range(start, start + 5)) for start in range(0, 40, 5)]
    dofn = comparison._CompareWithBlocks()
    dofn.setup()
    found = compare(dofn, [records[:5], records[5:]], parts)
    assert len(found) == len(set(found)) >= 20
    assert set(found) == set(find_matches(train, tests))
    assert parts.num_loads == num_loads
