# SPDX-License-Identifier: Apache-2.0
"""Properties of directed graphs, such as that of the imports."""

from __future__ import annotations

import graphlib
from collections.abc import Iterable, Mapping


def find_cycle(edges: Mapping[str, Iterable[str]]) -> list[str]:
    """Returns the nodes of a cycle, the first one again at the end; [] where there is none.

    Args:
        edges: node → the nodes that it depends on.
    """
    try:
        graphlib.TopologicalSorter(edges).prepare()
    except graphlib.CycleError as error:
        return error.args[1][::-1]
    return []


def longest_chain(edges: Mapping[str, Iterable[str]]) -> list[str]:
    """Returns the longest path through a graph without cycles, from the top down."""
    chains: dict[str, list[str]] = {}
    for node in graphlib.TopologicalSorter(edges).static_order():
        below = (chains[dependency] for dependency in sorted(edges.get(node, ())))
        chains[node] = [node, *max(below, key=len, default=[])]
    return max(chains.values(), key=len, default=[])
