# SPDX-License-Identifier: Apache-2.0
"""Reads integers and strings in a file header with TensorFlow ops that do not fail on any input."""

from __future__ import annotations

import tensorflow as tf


def called_function(function):
    """Returns a function of a scalar string that stays a call in any graph.

    TensorFlow would insert its operations into the graph of the caller, where each of them takes
    time for every image, even in a branch that is not taken.
    """
    return tf.function(
        function,
        input_signature=[tf.TensorSpec([], tf.string)],
        autograph=False,
        experimental_attributes={"_noinline": True},
    )


def slice_at(data: tf.Tensor, at, size) -> tf.Tensor:
    """Returns at most `size` elements of uint8 [n] from index `at`, like a Python slice."""
    at = tf.cast(at, tf.int64)
    return data[at : at + tf.cast(size, tf.int64)]


def integer_at(data: tf.Tensor, at, size: int, is_little=False) -> tf.Tensor:
    """Returns the unsigned integer of `size` bytes at `at`; bytes beyond the end are zero."""
    piece = slice_at(data, at, size)
    return unsigned(tf.pad(piece, [[0, size - tf.size(piece)]]), size, is_little)


def unsigned(pieces: tf.Tensor, size: int, is_little=False) -> tf.Tensor:
    """Converts bytes [..., size] to unsigned integers, int64 [...]."""
    # Two constants: in a served graph grappler logs an error for weights[::-1].
    little = [256**power for power in range(size)]
    big = [*reversed(little)]
    weights = tf.where(is_little, tf.constant(little, tf.int64), tf.constant(big, tf.int64))
    return tf.reduce_sum(tf.cast(pieces, tf.int64) * weights, axis=-1)


def matches_at(data: tf.Tensor, at, expected: bytes) -> tf.Tensor:
    """Whether the bytes at `at` equal `expected`; bytes beyond the end are zero."""
    piece = slice_at(data, at, len(expected))
    piece = tf.pad(piece, [[0, len(expected) - tf.size(piece)]])
    return tf.reduce_all(piece == tf.constant(list(expected), tf.uint8))
