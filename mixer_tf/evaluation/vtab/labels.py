# SPDX-License-Identifier: Apache-2.0
"""The label rules of VTAB-1k: from an example of TFDS to a class. Imports no library.

Source: the authors' github.com/google-research/task_adaptation, `task_adaptation/data`. An example
is what TFDS yields: {name of a feature: value}, with a nested dict of arrays for objects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

Example = Mapping[str, object]
LabelRule = Callable[[Example], int]

# A class reaches from above one distance to the next one.
CLEVR_DISTANCES = (0.0, 8.0, 8.5, 9.0, 9.5, 10.0, 100.0)
KITTI_DISTANCES = (-100.0, 8.0, 20.0, 999.0)  # in meters; the last class is "no vehicle"
NO_VEHICLE = 1000.0
_VEHICLES = 3  # the types 0, 1 and 2 of KITTI are Car, Van and Truck
_FEWEST_OBJECTS = 3  # in an image of CLEVR


def feature(name: str) -> LabelRule:
    """Returns the rule of a task whose label is a feature."""
    return lambda example: int(example[name])


def bins(name: str, width: float) -> LabelRule:
    """Returns the rule of a task whose label is a feature, of which `width` values are a class."""
    return lambda example: int(example[name] // width)


def clevr_count(example: Example) -> int:
    """Returns the number of objects, from 3 on."""
    return len(example["objects"]["size"]) - _FEWEST_OBJECTS


def clevr_distance(example: Example) -> int:
    """Returns the class of the distance of the nearest object, by its third pixel coordinate."""
    return distance_class(example["objects"]["pixel_coords"][:, 2].min(), CLEVR_DISTANCES)


def kitti_distance(example: Example) -> int:
    """Returns the class of the distance of the nearest car, van or truck, in meters ahead."""
    objects = example["objects"]
    ahead = objects["location"][objects["type"] < _VEHICLES, 2]
    return distance_class(min([*ahead, NO_VEHICLE]), KITTI_DISTANCES)


def distance_class(distance: float, limits: tuple[float, ...]) -> int:
    """Returns the index of the last limit that is below a distance.

    Raises:
        ValueError: no limit is.
    """
    below = [index for index, limit in enumerate(limits) if limit < distance]
    if not below:
        raise ValueError(f"a distance must be above {limits[0]:g}; got {distance:g}.")
    return below[-1]
