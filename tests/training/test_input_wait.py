# SPDX-License-Identifier: Apache-2.0
"""The measured wait for the input, against a clock around the consumer."""

import time

import pytest
import tensorflow as tf

from mixer_tf.training.callbacks import Throughput
from mixer_tf.training.input.wait import InputWait


def slow(seconds: float) -> tf.data.Dataset:
    """Numbers that take that long each."""

    def produce(number):
        time.sleep(seconds)
        return number

    return tf.data.Dataset.range(100).map(lambda x: tf.numpy_function(produce, [x], tf.int64))


@pytest.mark.parametrize(("produce", "consume"), [(0.03, 0.0), (0.01, 0.05)])
def test_the_wait_is_that_of_the_consumer(produce, consume):
    wait = InputWait()
    elements = iter(wait.measured(slow(produce).prefetch(1)))
    next(elements)
    before, expected, numbers = wait.seconds, 0.0, []
    for _ in range(20):
        time.sleep(consume)
        start = time.monotonic()
        numbers.append(int(next(elements)))
        expected += time.monotonic() - start
    measured = wait.seconds - before
    assert numbers == list(range(1, 21))
    assert measured <= expected and measured == pytest.approx(expected, abs=0.2)
    assert measured > 0.4 if produce > consume else measured < 0.4


class _Model:
    class optimizer:
        learning_rate = tf.constant(0.1)


def test_the_share_of_an_epoch_excludes_its_first_step():
    wait = InputWait()
    wait.is_measured = True
    throughput = Throughput(8, wait)
    throughput.model = _Model
    throughput.on_epoch_begin(0)
    for step, seconds in enumerate((5.0, 0.05, 0.05)):
        throughput.on_train_batch_begin(step)
        wait._seconds.assign_add(seconds)
        time.sleep(0.1)
        throughput.on_train_batch_end(step)
        if step == 0:
            time.sleep(1.0)  # what other callbacks do after the first step
    logs = {}
    throughput.on_epoch_end(0, logs)
    assert logs["input_wait"] == pytest.approx(0.5, abs=0.15)
    assert 40 < logs["examples_per_second"] <= 80
