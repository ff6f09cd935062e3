# SPDX-License-Identifier: Apache-2.0
"""Images with equal bytes are compared once, and decided as if each pair had been compared."""

import collections
import dataclasses
import itertools
import time

import numpy as np
import pytest

from mixer_tf.deduplication.equal_images import group_equal_images
from mixer_tf.deduplication.fingerprints import Fingerprints, ImageId, concatenate
from mixer_tf.deduplication.gallery import (
    find_in_gallery,
    find_within,
    list_blocks,
    make_gallery,
)
from mixer_tf.deduplication.matching import EXACT, Match, find_matches
from mixer_tf.deduplication.removals import decide


def place(images: Fingerprints, choice: list[int], set_name: str, classes: str) -> Fingerprints:
    """Copies of the chosen images in a set, each with one letter as its class; "-" is none."""
    ids = tuple(
        ImageId(set_name, f"{number:05}", classes[number % len(classes)].strip("-"), "", number)
        for number in range(len(choice))
    )
    return dataclasses.replace(images.take(choice), ids=ids)


@pytest.fixture(scope="module")
def images(random_image, save, take_fingerprints) -> Fingerprints:
    """Four images; the second and the third are JPEGs of the first, the fourth is another one."""
    first = random_image(0)
    encoded = [save(first), *(save(first, "JPEG", quality=q) for q in (70, 90))]
    return take_fingerprints("train", [*encoded, save(random_image(1))])


def all_pairs(train: Fingerprints, tests: Fingerprints) -> list[Match]:
    """Every pair by itself: training with tests, and each training image with earlier ones."""
    pairs = [
        (train, row, tests, column) for row in range(len(train)) for column in range(len(tests))
    ]
    pairs += [(train, row, train, column) for row in range(len(train)) for column in range(row)]
    matches = (
        find_matches(one.take([row]), other.take([column])) for one, row, other, column in pairs
    )
    return list(itertools.chain.from_iterable(matches))


@pytest.mark.parametrize("classes", ["a", "ab", "-", "a-b", "abc"])
@pytest.mark.parametrize("seed", [0, 1])
def test_decisions_are_those_of_all_pairs(images, classes, seed):
    random = np.random.default_rng(seed)
    train = place(images, random.integers(0, 4, 14).tolist(), "train", classes)
    tests = [
        place(images, random.integers(0, 2, 4).tolist() if seed else [3, 3, 3], name, classes[::-1])
        for name in ("eval", "test")
    ]
    gallery, within = make_gallery(tests), make_gallery([train])
    matches = [*find_in_gallery(train, gallery)]
    for start in list_blocks(within):
        matches += find_within(start, within)
    assert decide(matches) == decide(all_pairs(train, concatenate(tests)))


def test_time_and_memory_grow_with_the_number_of_copies(images):
    """All pairs would be 6,000,000 within training and with the test images."""
    train = place(images, [0] * 3000, "train", "abcdefghij")
    tests = place(images, [0] * 500, "test", "ab")
    started = time.perf_counter()
    matches = [*find_in_gallery(train, make_gallery([tests]))]
    within = make_gallery([train])
    for start in list_blocks(within):
        matches += find_within(start, within)
    assert time.perf_counter() - started < 20  # Some 0.3 s; all pairs took minutes.
    assert len(matches) <= 2 * 2 * len(train)
    assert {match.reason for match in matches} == {EXACT}
    found = collections.Counter(match.image for match in matches)
    assert set(found) == set(train.ids)


def test_groups_are_of_one_set_and_represented_by_class():
    digests = [b"x", b"x", b"y", b"x", b"x", b"x"]
    groups = group_equal_images(
        digests, ["test"] * 5 + ["eval"], ["cat", "cat", "cat", "dog", "", "cat"]
    )
    assert groups.firsts.tolist() == [0, 2, 5]
    assert groups.by_digest == {b"x": [0, 5], b"y": [2]}
    assert [*groups.representatives(0, "dog")] == [3, 4, 0]
    assert [*groups.representatives(0, "bird")] == [4, 0]
    assert [*groups.representatives(2, "dog")] == [2]
