# SPDX-License-Identifier: Apache-2.0
"""Which recipes a search for hyperparameters tries: a grid, or random points. No TensorFlow."""

from __future__ import annotations

import dataclasses
import itertools
import math
import random
import typing
from collections.abc import Mapping, Sequence

from mixer_tf import recipes
from mixer_tf.recipes import overrides
from mixer_tf.recipes.schema import Recipe

_EXAMPLES = "--grid optimizer.learning_rate=0.003,0.01 or --grid optimizer.learning_rate=1e-4..1e-2"
MAX_POINTS = 10_000
SEED = "training.seed"
# Without a grid of the paper: how far from the recipe's own learning rate to look.
_FACTORS = (1 / 3, 1.0, 3.0)

Point = tuple[str, ...]  # assignments "section.field=value"


@dataclasses.dataclass(frozen=True)
class Range:
    """Values between two bounds, drawn uniformly by their logarithm.

    Attributes:
        field: "section.field".
        low, high: the bounds, more than 0.
        is_integer: whether the field takes integers only.
    """

    field: str
    low: float
    high: float
    is_integer: bool = False

    @property
    def fields(self) -> tuple[str, ...]:
        return (self.field,)

    def draw(self, generator: random.Random) -> Point:
        """Returns an assignment: an integer, or a number with three significant digits.

        There are more digits where the bounds begin with the same ones.
        """
        value = math.exp(generator.uniform(math.log(self.low), math.log(self.high)))
        if self.is_integer:
            return (f"{self.field}={round(value)}",)
        width = (self.high - self.low) / self.high
        rounded = float(format(value, f".{3 + math.floor(-math.log10(width))}g"))
        return (f"{self.field}={min(max(rounded, self.low), self.high):.15g}",)


@dataclasses.dataclass(frozen=True)
class Choices:
    """The points of one axis; an axis of several fields changes them together."""

    points: tuple[Point, ...]

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(assignment.partition("=")[0] for assignment in self.points[0])

    def draw(self, generator: random.Random) -> Point:
        """Returns one of the points."""
        return generator.choice(self.points)


@dataclasses.dataclass(frozen=True)
class Search:
    """What a search tries, as a user has asked for it.

    Attributes:
        grids: one text for each axis, as `parse` takes them; () for the paper's grid of the recipe,
            or else a third, once and three times its learning rate.
        count: number of random combinations; None for all combinations.
    """

    grids: tuple[str, ...] = ()
    count: int | None = None

    def points(self, recipe: Recipe) -> list[Point]:
        """Returns the combinations, each of which `recipe.override` takes.

        Raises:
            ValueError: a text has another form, a field is not searchable or is named twice, or a
                value does not fit the recipe.
        """
        types = overrides.field_types(recipe.sections())
        axes = [parse(text, types) for text in self.grids] or _default_axes(recipe)
        _require_searchable([field for axis in axes for field in axis.fields])
        points = random_points(axes, self.count) if self.count else grid_points(axes)
        for point in points:
            recipe.override(point)
        return points


def parse(text: str, types: Mapping[str, object] | None = None) -> Range | Choices:
    """Returns the axis that "section.field=V1,V2,…" or "section.field=LOW..HIGH" describes.

    Args:
        text: as a user has written it.
        types: "section.field" → its type, so that a range of integers gives integers.

    Raises:
        ValueError: the text has another form.
    """
    field, _, values = text.partition("=")
    field, values = field.strip(), values.strip()
    if "." not in field or not values:
        raise ValueError(
            f"--grid must be FIELD=V1,V2,… or FIELD=LOW..HIGH; got {text!r}. Write for example "
            f"{_EXAMPLES}."
        )
    bounds = _bounds(text, values)
    if bounds:
        return Range(field, *bounds, is_integer=_is_integer((types or {}).get(field)))
    found = [value.strip() for value in values.split(",")]
    if not all(found) or len(set(found)) < len(found):
        raise ValueError(f"--grid must list different values; got {text!r}.")
    return Choices(tuple((f"{field}={value}",) for value in found))


def of_grid(grid: Mapping[str | tuple[str, ...], Sequence]) -> list[Choices]:
    """Returns the axes of a grid as `recipes.grid` gives it."""
    axes = []
    for fields, values in grid.items():
        names = (fields,) if isinstance(fields, str) else fields
        rows = [(value,) if isinstance(fields, str) else value for value in values]
        axes.append(
            Choices(
                tuple(
                    tuple(f"{name}={value}" for name, value in zip(names, row, strict=True))
                    for row in rows
                )
            )
        )
    return axes


def around_learning_rate(recipe: Recipe) -> list[Choices]:
    """Returns the axis for recipes of which the paper has no grid: a third, once, three times."""
    rate = recipe.optimizer.learning_rate
    return of_grid({"optimizer.learning_rate": [float(f"{rate * f:.2g}") for f in _FACTORS]})


def grid_points(axes: Sequence[Range | Choices]) -> list[Point]:
    """Returns all combinations.

    Raises:
        ValueError: an axis is a range, or there are too many combinations.
    """
    ranges = [axis.field for axis in axes if isinstance(axis, Range)]
    if ranges:
        raise ValueError(
            f"a range of values requires --random; got one for {ranges[0]}. Add for example "
            "--random=20, or list its values."
        )
    count = math.prod(len(axis.points) for axis in axes)
    if count > MAX_POINTS:
        raise ValueError(
            f"a grid must have at most {MAX_POINTS:,} combinations; got {count:,}. Use --random."
        )
    return [sum(point, ()) for point in itertools.product(*(axis.points for axis in axes))]


def random_points(axes: Sequence[Range | Choices], count: int, seed: int = 0) -> list[Point]:
    """Returns `count` different combinations; fewer where there are not so many.

    Args:
        axes: at least one.
        count: how many.
        seed: the same seed gives the same combinations, and a larger count adds to them.
    """
    generator = random.Random(seed)
    found = {}
    for _ in range(100 * count):
        found.setdefault(sum((axis.draw(generator) for axis in axes), ()))
        if len(found) == count:
            break
    return list(found)


def _default_axes(recipe: Recipe) -> list[Choices]:
    known = recipes.grid(recipe.name) if recipe.name in recipes.list_names() else {}
    return of_grid(known) or around_learning_rate(recipe)


def _require_searchable(fields: Sequence[str]) -> None:
    twice = [field for field in fields if fields.count(field) > 1]
    if twice:
        raise ValueError(
            f"a field must have one --grid; got several for {twice[0]}. Write all values into one."
        )
    if SEED in fields:
        raise ValueError(
            f"{SEED} must not be searched, because a better seed is not a better recipe; use "
            "--seeds of mixer sweep to train each combination several times."
        )


def _is_integer(kind: object) -> bool:
    """Whether a type is int, or int or None."""
    kinds = set(typing.get_args(kind) or (kind,))
    return int in kinds and float not in kinds


def _bounds(text: str, values: str) -> tuple[float, float] | None:
    """Returns the numbers of "LOW..HIGH"; None for other values, such as "../weights.npz"."""
    try:
        low, high = map(float, values.split(".."))
    except ValueError:
        return None
    if not 0 < low < high < math.inf:
        raise ValueError(
            f"--grid must have a range with 0 < LOW < HIGH; got {text!r}. Write for example "
            f"{_EXAMPLES}."
        )
    return low, high
