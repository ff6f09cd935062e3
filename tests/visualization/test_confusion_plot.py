# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from mixer_tf.visualization.confusion_plot import MAX_CLASSES, plot_confusion, worst_classes

CELL = 26


def cell_colors(plot: np.ndarray, number: int) -> np.ndarray:
    """The color of a corner of each cell, [C, C, 3], where no digit is; 3 pixels inside it."""
    bottom = plot.shape[0] - 8 - number * CELL
    rows = bottom + 3 + CELL * np.arange(number)
    # The columns begin as far from the left as the rows do from the header of one or two lines.
    header = 21 if number < MAX_CLASSES else 42
    left = bottom - header - 8
    columns = left + 3 + CELL * np.arange(number)
    return plot[np.ix_(rows, columns)]


def test_the_color_is_the_share_of_the_true_class():
    counts = np.array([[8, 2, 0], [0, 0, 0], [5, 0, 5]])
    colors = cell_colors(plot_confusion(counts, ["cat", "dog", "bird"]), 3)
    shares = np.array([[0.8, 0.2, 0], [0, 0, 0], [0.5, 0, 0.5]])
    expected = 255 + shares[..., None] * (np.array([8, 48, 107]) - 255)
    np.testing.assert_allclose(colors, expected, atol=0.5)


def test_of_many_classes_those_with_the_most_errors_are_shown():
    counts = np.diag(np.full(500, 10))
    counts[3, 499] = 7
    counts[250, 100] = 5
    shown = worst_classes(counts)
    assert len(shown) == MAX_CLASSES and {3, 100, 250, 499} <= set(shown)
    assert list(shown) == sorted(shown)
    height, width, _ = plot_confusion(counts).shape
    assert height < 1300 and width < 1300


def test_names_that_the_font_lacks_are_replaced_by_the_label():
    counts = np.eye(3)
    latin = plot_confusion(counts, ["class 0", "été", "class 2"])
    other = plot_confusion(counts, ["猫", "été", "夏"])
    np.testing.assert_array_equal(latin, other)


@pytest.mark.parametrize("number", [1, 2])
def test_few_classes_have_the_whole_title(number):
    assert plot_confusion(np.eye(number)).shape[1] > 400
