# SPDX-License-Identifier: Apache-2.0
"""Resized position embeddings against scipy, and every way in which a class token is stored."""

import numpy as np
import pytest

from mixer_tf.checkpoints.position_embeddings import fit_position_embeddings, resize_grid


@pytest.mark.parametrize("new", [(1, 1), (2, 2), (3, 3), (4, 6), (5, 5), (14, 14), (16, 12)])
@pytest.mark.parametrize("old", [1, 2, 3, 7])
def test_resizing_equals_scipys(old, new):
    ndimage = pytest.importorskip("scipy.ndimage")
    values = np.random.default_rng(0).normal(size=(old, old, 5)).astype(np.float32)
    zoom = (new[0] / old, new[1] / old, 1)
    expected = ndimage.zoom(values, zoom, order=1)
    resized = resize_grid(values, new)
    assert resized.dtype == np.float32
    np.testing.assert_allclose(resized, expected, rtol=0, atol=1e-6)


def test_from_224_to_384_pixels_as_in_the_authors_fine_tuning():
    ndimage = pytest.importorskip("scipy.ndimage")
    values = np.random.default_rng(0).normal(size=(14, 14, 8)).astype(np.float32)
    expected = ndimage.zoom(values, (24 / 14, 24 / 14, 1), order=1)
    np.testing.assert_allclose(resize_grid(values, (24, 24)), expected, rtol=0, atol=1e-6)


def random_embeddings(count):
    return np.random.default_rng(count).normal(size=(1, count, 3)).astype(np.float32)


def test_the_class_token_keeps_its_position():
    embeddings = random_embeddings(1 + 9)
    fitted = fit_position_embeddings(embeddings, (4, 6), has_class_token=True)
    assert fitted.shape == (1, 1 + 24, 3)
    np.testing.assert_array_equal(fitted[:, 0], embeddings[:, 0])
    np.testing.assert_array_equal(fitted[:, 1], embeddings[:, 1])  # the corners are aligned
    np.testing.assert_array_equal(fitted[:, -1], embeddings[:, -1])


def test_without_a_class_token_all_positions_belong_to_the_grid():
    embeddings = random_embeddings(9)
    expected = resize_grid(embeddings.reshape(3, 3, 3), (4, 4)).reshape(1, 16, 3)
    np.testing.assert_array_equal(
        fit_position_embeddings(embeddings, (4, 4), has_class_token=False), expected
    )


@pytest.mark.parametrize("grid", [(3, 3), (2, 5)])
def test_a_class_token_without_position_gets_zeros(grid):
    fitted = fit_position_embeddings(random_embeddings(9), grid, has_class_token=True)
    assert fitted.shape == (1, 1 + grid[0] * grid[1], 3)
    np.testing.assert_array_equal(fitted[:, 0], np.zeros((1, 3)))
    if grid == (3, 3):
        np.testing.assert_array_equal(fitted[:, 1:], random_embeddings(9))


@pytest.mark.parametrize("count, has_class_token", [(12, False), (13, True)])
def test_the_number_of_positions_of_the_model_is_not_resized(count, has_class_token):
    embeddings = random_embeddings(count)
    assert fit_position_embeddings(embeddings, (3, 4), has_class_token) is embeddings


@pytest.mark.parametrize("count, has_class_token", [(12, False), (13, True)])
def test_positions_of_an_unknown_grid_are_unchanged(count, has_class_token):
    embeddings = random_embeddings(count)
    fitted = fit_position_embeddings(embeddings, (5, 5), has_class_token)
    np.testing.assert_array_equal(fitted, embeddings)
