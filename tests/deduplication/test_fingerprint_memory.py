# SPDX-License-Identifier: Apache-2.0
"""How much memory fingerprints take while they are put together and compared."""

import dataclasses
import tracemalloc

import numpy as np
import pytest

from mixer_tf.deduplication import blocks, gallery
from mixer_tf.deduplication.fingerprints import _ARRAYS, Fingerprints, concatenate
from mixer_tf.deduplication.gallery import Gallery, find_in_gallery, make_gallery


@pytest.fixture(scope="module")
def images(random_image, save, take_fingerprints) -> Fingerprints:
    return take_fingerprints("train", [save(random_image(seed)) for seed in range(100)])


def num_bytes(images: Fingerprints) -> int:
    return sum(getattr(images, name).nbytes for name in _ARRAYS)


def test_concatenated_parts_need_memory_for_themselves_and_the_result_alone(images):
    order = np.random.default_rng(0).permutation(100)
    parts = (images.take(order[start : start + 10].tolist()) for start in range(0, 100, 10))
    tracemalloc.start()
    try:
        whole = concatenate(parts)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2.3 * num_bytes(images)
    assert whole.ids == images.ids and whole.digests == images.digests
    for name in _ARRAYS:
        np.testing.assert_array_equal(getattr(whole, name), getattr(images, name), strict=True)


def test_an_image_has_the_stated_number_of_bytes(images):
    assert num_bytes(images) / 100 == pytest.approx(15_400, abs=100)
    assert num_bytes(images) / 100 + images.whole.nbytes / 100 < 18_600  # and its id


def test_test_images_are_not_copied_and_are_all_but_the_evaluation_images(images):
    def named(name: str, numbers: range) -> Fingerprints:
        part = images.take(numbers)
        ids = tuple(dataclasses.replace(image, set_name=name) for image in part.ids)
        return dataclasses.replace(part, ids=ids)

    own, evaluation = named("test", range(30)), named("eval", range(30, 50))
    other = named("a:other", range(50, 60))
    whole = make_gallery([own, evaluation, other])
    assert [image.set_name for part in whole.tests for image in part.ids] == [
        *["a:other"] * 10,
        *["test"] * 30,
    ]
    for part in whole.tests:
        assert np.shares_memory(part.thumbnails, whole.images.thumbnails)
    without = make_gallery([own, other])
    assert without.tests == (without.images,)
    assert make_gallery([evaluation]).tests == ()


def test_many_queries_are_compared_in_parts(images, monkeypatch):
    sizes = []

    def find_matches(queries, *others):
        sizes.append(len(queries))
        yield from ()

    monkeypatch.setattr(blocks, "find_matches", find_matches)
    monkeypatch.setattr(gallery, "find_matches", find_matches)
    monkeypatch.setattr(blocks, "_QUERIES", 40)
    assert not list(find_in_gallery(images, Gallery(images, ())))
    assert sizes == [40, 40, 20]
