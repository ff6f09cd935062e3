# SPDX-License-Identifier: Apache-2.0
"""Measures for how long the training waits for its input."""

from __future__ import annotations

import tensorflow as tf

from mixer_tf.training.autograph import without_autograph


class InputWait:
    """Sums the time for which the consumer of a dataset waits for its next element.

    It is the time on the host between the request for an element and its arrival. On one CPU that
    is the time for which a step waits for data. With a GPU or several devices, elements are
    requested ahead in the background, so that the sum is an upper bound: close to 0 where the input
    is fast enough, and too high where it is not.

    Attributes:
        is_measured: whether there is a dataset to measure.
    """

    def __init__(self):
        with tf.device("CPU:0"):
            self._seconds = tf.Variable(0.0, dtype=tf.float64, trainable=False)

        self.is_measured = False

    @property
    def seconds(self) -> float:
        """The sum so far, over all input pipelines of this process."""
        return float(self._seconds.numpy())

    @without_autograph
    def measured(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        """Returns the same elements; they must be requested from the result alone."""
        self.is_measured = True
        # `zip` requests the element of each dataset only when that of the one before is there.
        clock = tf.data.Dataset.range(tf.int64.max).map(lambda _: tf.timestamp())

        def count(start, element, end):
            with tf.control_dependencies([self._seconds.assign_add(end - start, read_value=False)]):
                return tf.nest.map_structure(tf.identity, element)

        measured = tf.data.Dataset.zip((clock, dataset, clock)).map(count)
        options = tf.data.Options()
        # A buffer after this one would be what the training waits for.
        options.experimental_optimization.inject_prefetch = False
        return measured.with_options(options)
