# SPDX-License-Identifier: Apache-2.0
"""LazyArrays: named arrays whose shapes are known before any array is read."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection

import numpy as np

Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class LazyArrays:
    """An open checkpoint of any format, of which one array at a time is in memory.

    Attributes:
        shapes: array name → shape.
        read: returns the array with the given name; every call reads it again.
    """

    shapes: dict[str, Shape]
    read: Callable[[str], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Source:
    """The array behind a new name.

    Attributes:
        name: name of the original array.
        change: function applied to the array after reading, such as a transposition.
    """

    name: str
    change: Callable[[np.ndarray], np.ndarray] = np.asarray


def rearrange(arrays: LazyArrays, sources: dict[str, Source]) -> LazyArrays:
    """Returns `arrays` under new names, where every array is changed as it is read.

    Args:
        arrays: the original arrays.
        sources: new name → the original array and its change. The shape that a change returns may
            depend on the shape of its input only, not on the values.
    """

    def shape(source: Source) -> Shape:
        placeholder = np.broadcast_to(np.float32(0), arrays.shapes[source.name])  # takes no memory
        return source.change(placeholder).shape

    def read(name: str) -> np.ndarray:
        return sources[name].change(arrays.read(sources[name].name))

    return LazyArrays({name: shape(source) for name, source in sources.items()}, read)


def without(arrays: LazyArrays, names: Collection[str]) -> LazyArrays:
    """Returns `arrays` without the arrays called `names`."""
    shapes = {name: shape for name, shape in arrays.shapes.items() if name not in names}
    return LazyArrays(shapes, arrays.read)


def bfloat16_to_float32(array: np.ndarray) -> np.ndarray:
    """Converts bfloat16, which numpy can only represent as 2-byte voids, to float32."""
    bits = array.view(np.uint16).astype(np.uint32)
    return (bits << 16).view(np.float32)
