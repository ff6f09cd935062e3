# SPDX-License-Identifier: Apache-2.0
"""Integers in a file header against Python's int.from_bytes."""

import pytest
import tensorflow as tf

from mixer_tf.images.byte_fields import integer_at, unsigned

HEADER = bytes(range(250, 256)) + bytes(range(6))


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_integers_equal_pythons(order, size):
    data = tf.constant(list(HEADER), tf.uint8)
    for at in (0, 5, 10, 12, 99):
        expected = int.from_bytes(HEADER[at : at + size].ljust(size, b"\0"), order)
        assert integer_at(data, at, size, order == "little") == expected
        assert integer_at(data, at, size, tf.constant(order == "little")) == expected


@pytest.mark.parametrize("order", ["little", "big"])
def test_several_integers_at_once(order):
    pieces = tf.reshape(tf.constant(list(HEADER), tf.uint8), (3, 4))
    expected = [int.from_bytes(HEADER[i : i + 4], order) for i in (0, 4, 8)]
    assert unsigned(pieces, 4, order == "little").numpy().tolist() == expected
