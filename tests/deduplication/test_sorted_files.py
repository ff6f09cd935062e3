# SPDX-License-Identifier: Apache-2.0
"""Items in several files are read in the order that sorting all of them gives."""

import random

import pytest

from mixer_tf.deduplication import sorted_files
from mixer_tf.deduplication.sorted_files import SortedItems


def last(item: tuple[int, str]) -> str:
    return item[1]


@pytest.mark.parametrize("key", [None, last])
@pytest.mark.parametrize("num_files", [0, 1, 7])
def test_items_of_several_files_are_in_order_each_time(tmp_path, num_files, key):
    rng = random.Random(0)
    items = [(rng.randrange(1000), f"{number:03}\udce9") for number in range(200)]
    rng.shuffle(items)
    files = [
        sorted_files.write(str(tmp_path / str(index)), items[index::num_files], key)
        for index in range(num_files)
    ]
    found = SortedItems(tuple(files), key)
    expected = sorted(items, key=key) if num_files else []
    assert [*found] == [*found] == expected
    assert len(found) == len(expected) and bool(found) == bool(expected)


def test_the_number_of_files_follows_the_number_of_items():
    numbers = (0, 1, 49_999, 50_000, 1_000_000, 10**9)
    assert [*map(sorted_files.count_files, numbers)] == [1, 1, 1, 2, 21, 1000]
