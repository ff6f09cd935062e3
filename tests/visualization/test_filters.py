# SPDX-License-Identifier: Apache-2.0
"""Filter plots: every weight at its position, filters in the order of the paper's figures."""

import numpy as np
import pytest

from mixer_tf.visualization import filters


def wave(frequency: int, sign: float = 1.0, side: int = 8) -> np.ndarray:
    """A cosine of `frequency` half-waves along the columns."""
    x = np.cos(np.pi * frequency * (np.arange(side) + 0.5) / side)
    return sign * np.tile(x, (side, 1))


def test_a_units_filter_is_its_input_weights_in_patch_order():
    kernel = np.arange(6 * 2).reshape(6, 2)  # 2 rows of 3 patches, 2 units
    units = filters.unit_filters(kernel, (2, 3))
    np.testing.assert_array_equal(units[1], [[1, 3, 5], [7, 9, 11]])


def test_channel_groups_are_side_by_side():
    kernel = np.arange(8.0)[:, None]  # G=2 groups of 2x2 patches, 1 unit
    (unit,) = filters.unit_filters(kernel, (2, 2))
    np.testing.assert_array_equal(unit, [[0, 1, 4, 5], [2, 3, 6, 7]])


def test_the_first_of_untied_mlps_is_plotted():
    kernel = np.random.default_rng(0).normal(size=(3, 4, 5))
    np.testing.assert_array_equal(filters.unit_filters(kernel), filters.unit_filters(kernel[0]))


def test_roughness_is_the_mean_squared_frequency():
    frequencies = np.arange(1, 8)
    expected = 4 * np.sin(np.pi * frequencies / 16) ** 2  # eigenvalues of the difference operator
    actual = filters.roughness(np.stack([wave(frequency) for frequency in frequencies]))
    np.testing.assert_allclose(actual, expected, rtol=1e-12)
    assert filters.roughness(np.ones((1, 4, 4))) == 0
    assert filters.roughness(np.zeros((1, 4, 4))) == np.inf


def test_pairs_are_sorted_by_frequency_and_do_not_depend_on_scale():
    waves = np.stack([wave(3), 9 * wave(1, -1), wave(2), wave(2, -0.1), wave(1), 5 * wave(3, -1)])
    order = filters.pair_order(waves)
    assert [set(order[i : i + 2]) for i in (0, 2, 4)] == [{1, 4}, {2, 3}, {0, 5}]


def test_with_an_odd_number_of_units_the_roughest_is_alone():
    order = filters.pair_order(np.stack([wave(5), wave(1), wave(1, -1)]))
    assert order[-1] == 0 and sorted(order) == [0, 1, 2]


def test_zero_is_gray_and_the_largest_weight_is_black_or_white():
    units = np.array([[[0.0, -0.5]], [[4.0, 2.0]], [[0.0, 0.0]]])
    np.testing.assert_array_equal(filters.to_gray(units), [[[128, 0]], [[255, 191]], [[128, 128]]])


def test_tiles_are_arranged_row_by_row():
    tiles = np.stack([np.full((2, 3), value, np.uint8) for value in (10, 20, 30)])
    canvas = filters.tile(tiles, columns=2)
    assert canvas.shape == (2 * (2 + 4) + 4, 2 * (3 + 4) + 4, 3)
    assert canvas[4, 4, 0] == 10 and canvas[4, 11, 0] == 20 and canvas[10, 4, 2] == 30
    assert canvas[10, 11, 0] == 255


def test_pairs_are_joined_and_an_odd_image_is_joined_with_white():
    three = np.stack([np.full((1, 2), value, np.uint8) for value in (10, 20, 30)])
    np.testing.assert_array_equal(
        filters.side_by_side(three), [[[10, 10, 255, 20, 20]], [[30, 30, 255, 255, 255]]]
    )


def test_plots_of_whole_layers_are_rgb():
    rng = np.random.default_rng(0)
    for plot in (
        filters.plot_token_mixing(rng.normal(size=(16, 6))),
        filters.plot_stem(rng.normal(size=(4, 4, 3, 10))),
    ):
        assert plot.dtype == np.uint8 and plot.shape[2] == 3


@pytest.mark.parametrize(
    ("inputs", "grid", "message"),
    [
        (12, None, "the grid of patches must be square unless it is given; got 12"),
        (12, (5, 2), "got 12 weights for 5x2 patches"),
    ],
)
def test_weights_that_do_not_fit_a_grid_are_refused(inputs, grid, message):
    with pytest.raises(ValueError, match=message):
        filters.unit_filters(np.zeros((inputs, 3)), grid)
