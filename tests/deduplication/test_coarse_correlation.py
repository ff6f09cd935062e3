# SPDX-License-Identifier: Apache-2.0
"""The cheap correlation of candidates, against scipy, and against what it must not rule out."""

import dataclasses

import numpy as np
import pytest
from scipy import ndimage

from mixer_tf.deduplication import candidates, views
from mixer_tf.deduplication.coarse_correlation import correlate_coarsely, keep_plausible
from mixer_tf.deduplication.fingerprints import ImageId, Reading, make_fingerprints

SIDE = views.STORED_SIZE


def fingerprints(images):
    readings = [
        Reading(ImageId("train", str(index), "", None, index), bytes([index]), 300, image)
        for index, image in enumerate(images)
    ]
    return make_fingerprints(readings)


@pytest.fixture(scope="module")
def photographs():
    """Smooth random fields, uint8 [12, 64, 64, 3]."""
    noise = np.random.default_rng(0).normal(size=(12, SIDE, SIDE, 3))
    smooth = ndimage.gaussian_filter(noise, (0, 3, 3, 0))
    return np.clip(128 + 40 * smooth / smooth.std(), 0, 255).astype(np.uint8)


def reference(first, second):
    """The definition, pair by pair: the query at three zooms, the center of the other at shifts."""
    best = -1.0
    center = normalized(details(second)[2:-2, 2:-2])
    for zoom in (1 / 1.15, 1.0, 1.15):
        grid = np.clip((np.arange(16) - 7.5) / zoom + 7.5, 0, 15)
        zoomed = ndimage.map_coordinates(
            first.astype(float), np.meshgrid(grid, grid, indexing="ij"), order=1
        )
        for y in range(5):
            for x in range(5):
                part = details(zoomed)[y : y + 12, x : x + 12]
                best = max(best, (normalized(part) * center).sum())
    return best


def normalized(part):
    part = part - part.mean()
    return part / (np.linalg.norm(part) + 1)


def details(image):
    index = np.arange(16)

    def blur(deviation):
        weight = np.exp(-0.5 * ((index[:, None] - index) / deviation) ** 2)
        return weight / weight.sum(1, keepdims=True)

    fine, coarse = blur(0.5), blur(1.5)
    return fine @ image @ fine.T - coarse @ image @ coarse.T


def test_it_equals_the_definition_in_any_order_of_the_pairs(photographs):
    images = fingerprints(photographs)
    rng = np.random.default_rng(1)
    rows, columns = rng.integers(0, 12, (2, 60))
    pairs = candidates.make_pairs(rows, columns, np.zeros(60))
    views_of_pairs = rng.choice([views.WHOLE, views.LARGE_CROP, views.SMALL_CROP], (60, 2))
    pairs = dataclasses.replace(pairs, views=views_of_pairs)
    found = correlate_coarsely(pairs, images, images)
    small = images.small_views
    expected = [
        reference(small[row, first], small[column, second])
        for row, column, (first, second) in zip(rows, columns, views_of_pairs, strict=True)
    ]
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("orientation", range(5))
def test_turned_copies_correlate_in_their_orientation(photographs, orientation):
    """The query turned as the orientation says equals the image in the gallery."""
    count = len(photographs)
    turned = candidates.orient(photographs, np.full(count, orientation))
    pairs = candidates.make_pairs(np.arange(count), np.arange(count), np.zeros(count))
    pairs = dataclasses.replace(pairs, orientations=np.full(count, orientation, np.int8))
    found = correlate_coarsely(pairs, fingerprints(photographs), fingerprints(turned))
    assert found.min() > 0.97


def test_copies_stay_and_other_images_go(photographs):
    images = fingerprints(photographs)
    shifted = fingerprints(np.roll(photographs, 3, axis=2))
    rows, columns = np.divmod(np.arange(144), 12)
    pairs = candidates.make_pairs(rows, columns, np.full(144, 0.7))
    kept = keep_plausible(pairs, images, shifted)
    assert set(range(12)) <= {r for r, c in zip(kept.rows, kept.columns, strict=True) if r == c}
    assert len(kept) < 30


def test_no_pairs_and_images_without_details(photographs):
    images = fingerprints(np.full_like(photographs, 90))
    none = candidates.concatenate([])
    assert len(correlate_coarsely(none, images, images)) == 0
    pairs = candidates.make_pairs(np.arange(3), np.arange(3), np.ones(3))
    np.testing.assert_allclose(correlate_coarsely(pairs, images, images), 0, atol=1e-6)
