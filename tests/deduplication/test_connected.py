# SPDX-License-Identifier: Apache-2.0
import collections
import random

import pytest

from mixer_tf.deduplication import connected
from mixer_tf.deduplication.fingerprints import ImageId


def key(number: int) -> bytes:
    return connected.image_key(ImageId("train", str(number), "", "shard", number))


def grouped(pairs) -> list:
    groups = collections.defaultdict(list)
    for first, second in pairs:
        groups[first].append(second)
    return list(groups.items())


def contract(edges: set) -> set:
    """One round of both operations."""
    both = [pair for edge in edges for pair in connected.both_ways(edge)]
    stars = [edge for group in grouped(both) for edge in connected.large_star(group)]
    return {edge for group in grouped(stars) for edge in connected.small_star(group)}


def label(edges: set) -> tuple[dict, int]:
    """Key → label, and the number of edges that are not part of a star after all rounds."""
    for _ in range(connected.ROUNDS):
        edges = contract(edges)
    both = [pair for edge in edges for pair in connected.both_ways(edge)]
    inner = [edge for group in grouped(both) for edge in connected.inner_edges(group)]
    roots = connected.find_roots(inner)
    labels = [pair for edge in edges for pair in connected.label_ends(edge, roots)]
    assert len(set(labels)) == len(dict(labels))  # the same label from every edge
    return dict(labels), len(inner)


def flood(pairs: list[tuple[int, int]]) -> dict[int, int]:
    """An independent reference: number → smallest number that can be reached."""
    neighbors = collections.defaultdict(set)
    for first, second in pairs:
        neighbors[first].add(second)
        neighbors[second].add(first)
    found = {}
    for start in sorted(neighbors):
        todo = [start] if start not in found else []
        while todo:
            number = todo.pop()
            if number not in found:
                found[number] = start
                todo += neighbors[number]
    return found


@pytest.mark.parametrize("seed", range(4))
def test_components_are_those_of_a_search(seed):
    rng = random.Random(seed)
    numbers = range(3000)
    pairs = [tuple(rng.sample(numbers, 2)) for _ in range((400, 1200, 1600, 4000)[seed])]
    pairs += [(3000 + index, 3001 + index) for index in range(500)]  # a chain
    pairs += [(5000, 5001 + index) for index in range(300)]  # a star
    labels, _ = label({connected.make_edge(key(first), key(second)) for first, second in pairs})
    expected = flood(pairs)
    by_label, by_start = collections.defaultdict(set), collections.defaultdict(set)
    for number, start in expected.items():
        by_label[labels[key(number)]].add(number)
        by_start[start].add(number)
    assert sorted(map(sorted, by_label.values())) == sorted(map(sorted, by_start.values()))


def test_what_is_left_for_one_process_is_a_small_part_of_a_chain():
    edges = {connected.make_edge(key(index), key(index + 1)) for index in range(5000)}
    labels, num_inner = label(edges)
    assert len(set(labels.values())) == 1
    assert num_inner < 0.05 * len(edges)


def test_images_that_are_all_similar_leave_nothing():
    numbers = range(60)
    pairs = {connected.make_edge(key(a), key(b)) for a in numbers for b in numbers if a < b}
    assert label(pairs) == ({key(number): min(map(key, numbers)) for number in numbers}, 0)


def test_images_of_one_path_have_different_keys():
    image = ImageId("train", "a.png", "cat", "shard-0", 0)
    others = [ImageId("train", "a.png", "cat", "shard-1", 0), ImageId("train", "a.png", "", "s", 1)]
    assert len({connected.image_key(item) for item in (image, *others)}) == 3
