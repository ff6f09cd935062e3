# SPDX-License-Identifier: Apache-2.0
import math
import random

import numpy as np
import pytest

from mixer_tf import recipes
from mixer_tf.training import search_space


def test_a_grid_has_every_combination_in_order():
    axes = [search_space.parse("a.b=1,2"), search_space.parse("c.d=x,y,z")]
    points = search_space.grid_points(axes)
    assert points == [(f"a.b={b}", f"c.d={d}") for b in (1, 2) for d in "xyz"]


def test_the_grid_of_the_paper_for_pretraining():
    """RandAugment 4 x mixup 4 x dropout 2 x depth 2 x (lr, wd) 4, all of them possible."""
    recipe = recipes.get("pretrain_imagenet_b16")
    points = search_space.grid_points(search_space.of_grid(recipes.grid(recipe.name)))
    assert len(points) == 4 * 4 * 2 * 2 * 4
    changed = [recipe.override(point) for point in points]
    found = {
        (r.optimizer.learning_rate, round(r.optimizer.weight_decay / r.optimizer.learning_rate, 6))
        for r in changed
    }
    assert found == {(0.003, 0.1), (0.003, 0.01), (0.001, 0.1), (0.001, 0.01)}
    # The recipe itself is one of its points.
    assert recipe in changed


def test_a_recipe_without_a_grid_is_tried_around_its_learning_rate():
    axes = search_space.around_learning_rate(recipes.get("cifar10"))
    rates = [float(p.partition("=")[2]) for (p,) in search_space.grid_points(axes)]
    middle = recipes.get("cifar10").optimizer.learning_rate
    assert rates == pytest.approx([middle / 3, middle, 3 * middle], rel=0.02)


def test_random_points_are_different_reproducible_and_extend_each_other():
    axes = [search_space.parse("a.b=1,2,3,4"), search_space.parse("c.d=1e-4..1e-2")]
    five, ten = (search_space.random_points(axes, count, seed=3) for count in (5, 10))
    assert ten[:5] == five and len(set(ten)) == 10
    assert search_space.random_points(axes, 5, seed=4) != five


def test_a_range_is_drawn_uniformly_by_its_logarithm():
    axis, generator = search_space.parse("a.b=1e-4..1e-2"), random.Random(0)
    points = [axis.draw(generator) for _ in range(4000)]
    values = np.log10([float(point.partition("=")[2]) for (point,) in points])
    assert values.min() >= -4 and values.max() <= -2
    counts, _ = np.histogram(values, bins=4, range=(-4, -2))
    assert np.all(abs(counts / len(values) - 0.25) < 0.03)


@pytest.mark.parametrize("bounds", ["0.9..0.9999", "0.99..0.9999", "0.999..0.99999"])
def test_a_narrow_range_has_many_values_within_its_bounds(bounds):
    axis, generator = search_space.parse(f"a.b={bounds}"), random.Random(0)
    low, high = map(float, bounds.split(".."))
    values = {float(axis.draw(generator)[0].partition("=")[2]) for _ in range(500)}
    assert low <= min(values) and max(values) <= high
    assert len(values) > 80


def test_no_more_random_points_than_there_are_combinations():
    points = search_space.random_points([search_space.parse("a.b=1,2,3")], 10)
    assert sorted(points) == [("a.b=1",), ("a.b=2",), ("a.b=3",)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("learning_rate=1", "--grid must be FIELD=V1,V2"),
        ("optimizer.learning_rate", "--grid must be FIELD=V1,V2"),
        ("a.b=1,1", "must list different values; got 'a.b=1,1'"),
        ("a.b=1,,2", "must list different values"),
        ("a.b=2..1", "0 < LOW < HIGH; got 'a.b=2..1'"),
        ("a.b=0..1", "0 < LOW < HIGH"),
    ],
)
def test_an_axis_of_another_form_is_an_error(text, message):
    with pytest.raises(ValueError, match=message):
        search_space.parse(text)


def test_paths_with_dots_are_values():
    axis = search_space.parse("model.weights=../a.npz,../b.npz")
    assert axis.points == (("model.weights=../a.npz",), ("model.weights=../b.npz",))


def test_a_grid_cannot_hold_a_range_or_too_many_points():
    with pytest.raises(ValueError, match="a range of values requires --random; got one for a.b"):
        search_space.grid_points([search_space.parse("a.b=1..2")])
    axis = search_space.parse("a.b=" + ",".join(map(str, range(200))))
    assert math.prod([200, 200]) > search_space.MAX_POINTS
    with pytest.raises(ValueError, match="at most 10,000 combinations; got 40,000"):
        search_space.grid_points([axis, axis])


@pytest.mark.parametrize(
    ("grids", "message"),
    [
        (("optimizer.beta_1=0.8,0.9", "optimizer.beta_1=0.7,0.6"), "must have one --grid; got sev"),
        (("training.seed=1,2",), "a better seed is not a better recipe; use --seeds"),
        (("optimizer.rate=1,2",), "must name a field of a recipe; got 'optimizer.rate'"),
        (("training.epochs=0,3",), "epochs must be from 1 to"),
    ],
)
def test_what_cannot_be_searched_is_refused(grids, message):
    with pytest.raises(ValueError) as error:
        search_space.Search(grids).points(recipes.get("digits"))
    assert message in str(error.value)


def test_a_search_without_a_grid_takes_the_one_of_the_paper_or_three_learning_rates():
    tuned = next(name for name in recipes.list_names() if recipes.grid(name))
    points = search_space.Search().points(recipes.get(tuned))
    assert points == search_space.grid_points(search_space.of_grid(recipes.grid(tuned)))
    digits = recipes.get("digits")
    rates = [
        digits.override(p).optimizer.learning_rate for p in search_space.Search().points(digits)
    ]
    assert rates == pytest.approx([digits.optimizer.learning_rate * f for f in (1 / 3, 1, 3)], 0.05)
    assert len(search_space.Search(count=2).points(digits)) == 2


def test_a_range_of_an_integer_field_gives_integers():
    grid = ("training.batch_size=100..2000", "optimizer.learning_rate=1e-4..1e-2")
    points = search_space.Search(grid, 5).points(recipes.get("digits"))
    assert all(100 <= int(point[0].partition("=")[2]) <= 2000 for point in points)
    assert all(0 < float(point[1].partition("=")[2]) < 0.1 for point in points)
