# SPDX-License-Identifier: Apache-2.0
"""Pictures of weights: the right weight at the right place, in the order that the paper shows."""

import numpy as np
import pytest

from mixer_tf.visualization import filters as pictures


def wave(frequency: int, sign: float = 1.0, side: int = 8) -> np.ndarray:
    """A cosine of `frequency` half-waves along the columns."""
    x = np.cos(np.pi * frequency * (np.arange(side) + 0.5) / side)
    return sign * np.tile(x, (side, 1))


def test_a_unit_is_a_picture_of_its_input_weights_in_the_order_of_the_patches():
    kernel = np.arange(6 * 2).reshape(6, 2)  # 2 rows of 3 patches, 2 units
    filters = pictures.unit_filters(kernel, (2, 3))
    np.testing.assert_array_equal(filters[1], [[1, 3, 5], [7, 9, 11]])


def test_channel_groups_stand_side_by_side():
    kernel = np.arange(8.0)[:, None]  # G=2 groups of 2x2 patches, 1 unit
    (unit,) = pictures.unit_filters(kernel, (2, 2))
    np.testing.assert_array_equal(unit, [[0, 1, 4, 5], [2, 3, 6, 7]])


def test_of_untied_mlps_the_first_is_drawn():
    kernel = np.random.default_rng(0).normal(size=(3, 4, 5))
    np.testing.assert_array_equal(pictures.unit_filters(kernel), pictures.unit_filters(kernel[0]))


def test_roughness_is_the_mean_squared_frequency():
    frequencies = np.arange(1, 8)
    expected = 4 * np.sin(np.pi * frequencies / 16) ** 2  # eigenvalues of the difference operator
    actual = pictures.roughness(np.stack([wave(frequency) for frequency in frequencies]))
    np.testing.assert_allclose(actual, expected, rtol=1e-12)
    assert pictures.roughness(np.ones((1, 4, 4))) == 0
    assert pictures.roughness(np.zeros((1, 4, 4))) == np.inf


def test_smooth_first_and_each_followed_by_its_inverse_whatever_its_scale():
    filters = np.stack([wave(3), 9 * wave(1, -1), wave(2), wave(2, -0.1), wave(1), 5 * wave(3, -1)])
    order = pictures.pair_order(filters)
    assert [set(order[i : i + 2]) for i in (0, 2, 4)] == [{1, 4}, {2, 3}, {0, 5}]


def test_an_odd_number_of_units_leaves_the_roughest_alone():
    order = pictures.pair_order(np.stack([wave(5), wave(1), wave(1, -1)]))
    assert order[-1] == 0 and sorted(order) == [0, 1, 2]


def test_zero_is_grey_and_the_largest_weight_is_black_or_white():
    filters = np.array([[[0.0, -0.5]], [[4.0, 2.0]], [[0.0, 0.0]]])
    np.testing.assert_array_equal(
        pictures.to_grey(filters), [[[128, 0]], [[255, 191]], [[128, 128]]]
    )


def test_tiles_follow_each_other_like_words():
    tiles = np.stack([np.full((2, 3), value, np.uint8) for value in (10, 20, 30)])
    page = pictures.tile(tiles, columns=2)
    assert page.shape == (2 * (2 + 4) + 4, 2 * (3 + 4) + 4, 3)
    assert page[4, 4, 0] == 10 and page[4, 11, 0] == 20 and page[10, 4, 2] == 30
    assert page[10, 11, 0] == 255


def test_pairs_stand_close_together_and_an_odd_one_beside_white():
    three = np.stack([np.full((1, 2), value, np.uint8) for value in (10, 20, 30)])
    np.testing.assert_array_equal(
        pictures.side_by_side(three), [[[10, 10, 255, 20, 20]], [[30, 30, 255, 255, 255]]]
    )


def test_pictures_of_whole_layers():
    rng = np.random.default_rng(0)
    for picture in (
        pictures.plot_token_mixing(rng.normal(size=(16, 6))),
        pictures.plot_stem(rng.normal(size=(4, 4, 3, 10))),
    ):
        assert picture.dtype == np.uint8 and picture.shape[2] == 3


@pytest.mark.parametrize(
    ("inputs", "grid", "message"),
    [
        (12, None, "12 weights of a unit make no square"),
        (12, (5, 2), "got 12 weights for 5x2 patches"),
    ],
)
def test_weights_that_are_no_picture(inputs, grid, message):
    with pytest.raises(ValueError, match=message):
        pictures.unit_filters(np.zeros((inputs, 3)), grid)
