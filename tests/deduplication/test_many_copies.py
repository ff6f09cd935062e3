# SPDX-License-Identifier: Apache-2.0
"""Many near-identical files with different bytes: all of them are found, whatever their number."""

import numpy as np
import pytest

from mixer_tf.deduplication import candidates
from mixer_tf.deduplication.candidates import _are_best, _are_first, make_pairs
from mixer_tf.deduplication.matching import find_matches
from mixer_tf.deduplication.removals import decide


@pytest.fixture(scope="module")
def frames(random_image, save) -> list[bytes]:
    """60 files of one image."""
    return [save(random_image(0), "JPEG", quality=quality) for quality in range(36, 96)]


def test_one_of_many_copies_within_training_stays(frames, random_image, save, take_fingerprints):
    others = [save(random_image(seed)) for seed in range(1, 20)]
    train = take_fingerprints("train", [*others[:9], *frames, *others[9:]])
    matches = find_matches(train, train, np.arange(len(train)))
    removed = {removal.match.image.source for removal in decide(matches)}
    assert removed == {f"{index:02}" for index in range(10, 69)}


def test_every_copy_in_a_test_set_is_found(frames, random_image, save, take_fingerprints):
    tests = take_fingerprints("test", frames[:40])
    train = take_fingerprints("train", [save(random_image(seed)) for seed in range(3)])
    found = [(match.image.source, match.other.source) for match in find_matches(train, tests)]
    assert sorted(found) == [("00", f"{index:02}") for index in range(40)]


def test_the_first_images_are_candidates_although_others_are_more_similar():
    cosines = np.array([0.85, 0.5, 0.81, 0.83, 0.98, 0.975, *np.full(30, 0.99)])
    pairs = make_pairs(np.zeros(36, int), np.arange(36), cosines)
    kept = np.flatnonzero(_are_first(pairs)).tolist()
    assert kept == [
        0,
        2,
        4,
        5,
    ]  # The first two from 0.8 on, and from 0.9 or 0.97 on.
    best = _are_best(pairs, candidates._MAX_CANDIDATES)
    assert not best[:6].any() and best.sum() == candidates._MAX_CANDIDATES


def test_the_number_of_candidates_is_bounded():
    pairs = make_pairs(np.repeat([0, 1], 300), np.tile(np.arange(300), 2), np.full(600, 0.999))
    assert _are_best(pairs, candidates._MAX_NEARLY_EQUAL).sum() == 2 * 64
    crops = make_pairs(np.zeros(300, int), np.arange(300), np.full(300, 0.999), views=(0, 2))
    assert _are_best(crops, candidates._MAX_NEARLY_EQUAL).sum() == 16
