# SPDX-License-Identifier: Apache-2.0
"""Which images depend on one another, found by steps that each see one image and its neighbors.

The large-star and small-star operations of Kiveris et al., "Connected Components in MapReduce and
Beyond" (2014). An edge is a pair of keys, the larger first. Alternating both operations turns each
component into a star around its smallest key, in a number of rounds that grows with the logarithm
of its size. After a few rounds, what is not a star yet is so small that one process finishes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping

from mixer_tf.deduplication.fingerprints import ImageId

Edge = tuple[bytes, bytes]

# After these, 4 % of the edges of a chain of a million images are left for one process (measured);
# a component in which each image is similar to all others is a star after the first.
ROUNDS = 4


def image_key(image: ImageId) -> bytes:
    """Returns a key that no other image has; equal images have it in every process."""
    text = repr((image.set_name, image.source, image.index, image.work_item))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:16]


def make_edge(first: bytes, second: bytes) -> Edge:
    """Returns the edge between two keys."""
    return max(first, second), min(first, second)


def both_ways(edge: Edge) -> Iterator[tuple[bytes, bytes]]:
    """Yields (key, neighbor) for both ends of an edge."""
    yield edge
    yield edge[::-1]


def large_star(neighborhood: tuple[bytes, Iterable[bytes]]) -> Iterator[Edge]:
    """Connects the larger neighbors of a key to the smallest of all, itself included."""
    key, neighbors = neighborhood[0], set(neighborhood[1])
    smallest = min(key, *neighbors)
    for neighbor in neighbors:
        if neighbor > key:
            yield neighbor, smallest


def small_star(neighborhood: tuple[bytes, Iterable[bytes]]) -> Iterator[Edge]:
    """Connects the larger end of some edges, and their other ends, to the smallest of them."""
    key, neighbors = neighborhood[0], set(neighborhood[1])
    smallest = min(neighbors)
    for other in (neighbors | {key}) - {smallest}:
        yield other, smallest


def inner_edges(neighborhood: tuple[bytes, Iterable[bytes]]) -> Iterator[Edge]:
    """Yields the edges that a key is the larger end of, unless it is the end of a ray of a star."""
    key, neighbors = neighborhood[0], set(neighborhood[1])
    smaller = {neighbor for neighbor in neighbors if neighbor < key}
    if len(neighbors) > 1:
        for neighbor in smaller:
            yield key, neighbor


def find_roots(edges: Iterable[Edge]) -> dict[bytes, bytes]:
    """Returns the smallest key of the component of each key, in memory."""
    roots: dict[bytes, bytes] = {}

    def find(key: bytes) -> bytes:
        path = []
        while (root := roots.setdefault(key, key)) != key:
            path.append(key)
            key = root
        for passed in path:
            roots[passed] = key
        return key

    for first, second in edges:
        larger, smaller = make_edge(find(first), find(second))
        roots[larger] = smaller
    return {key: find(key) for key in list(roots)}


def label_ends(edge: Edge, roots: Mapping[bytes, bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Yields (key, label of its component) for both ends of an edge after the last round.

    Args:
        edge: an edge.
        roots: the result of `find_roots` for all `inner_edges`.
    """
    label = roots.get(edge[1], edge[1])
    yield edge[0], label
    yield edge[1], label
