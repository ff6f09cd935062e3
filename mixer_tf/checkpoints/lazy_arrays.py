# SPDX-License-Identifier: Apache-2.0
"""LazyArrays: named arrays whose shapes are known before the first of them is read."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection

import numpy as np

Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class LazyArrays:
    """What every format of checkpoint is opened as, so that one array at a time is in memory.

    Attributes:
        shapes: the shape of each array by its name.
        read: returns the array of a name; reads it anew at each call.
    """

    shapes: dict[str, Shape]
    read: Callable[[str], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Source:
    """Where the array of a new name comes from.

    Attributes:
        name: of the stored array.
        change: what is done to it: a transposition, for example.
    """

    name: str
    change: Callable[[np.ndarray], np.ndarray] = np.asarray


def rearrange(stored: LazyArrays, sources: dict[str, Source]) -> LazyArrays:
    """Returns `stored` under new names and with every array changed as it is read.

    Args:
        stored: the arrays.
        sources: new name → where its array comes from. A change must depend on nothing but the
            array's shape in the shape that it returns.
    """

    def shape(source: Source) -> Shape:
        weightless = np.broadcast_to(np.float32(0), stored.shapes[source.name])
        return source.change(weightless).shape

    def read(name: str) -> np.ndarray:
        return sources[name].change(stored.read(sources[name].name))

    return LazyArrays({name: shape(source) for name, source in sources.items()}, read)


def without(stored: LazyArrays, names: Collection[str]) -> LazyArrays:
    """Returns `stored` without the arrays of these names."""
    shapes = {name: shape for name, shape in stored.shapes.items() if name not in names}
    return LazyArrays(shapes, stored.read)


def widen_bfloat16(array: np.ndarray) -> np.ndarray:
    """Returns float32 for bfloat16, which numpy knows only as voids of two bytes."""
    bits = array.view(np.uint16).astype(np.uint32)
    return (bits << 16).view(np.float32)
