# SPDX-License-Identifier: Apache-2.0
"""Items that are made in a thread while the one before is used."""

import threading

import pytest

from mixer_tf.prefetching import prefetched


def test_the_next_item_is_made_while_one_is_used():
    is_used = threading.Event()

    def items():
        yield 1
        assert is_used.wait(10)  # forever, if it were made only afterwards
        yield 2

    found = []
    for item in prefetched(items()):
        is_used.set()
        found.append(item)
    assert found == [1, 2]
    assert list(prefetched(iter([]))) == []


def test_an_error_comes_where_its_item_would_have_come():
    def items():
        yield 1
        raise ValueError("broken")

    made = prefetched(items())
    assert next(made) == 1
    with pytest.raises(ValueError, match="broken"):
        next(made)
