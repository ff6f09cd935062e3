# SPDX-License-Identifier: Apache-2.0
"""Metrics continue with the values of each device, bit for bit."""

import os
import subprocess
import sys

_PROGRAM = """
import tensorflow as tf
from tensorflow.python.distribute import tpu_strategy
from mixer_tf.training import distribution, metric_state

devices = 2
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * devices)

# As TPUStrategy does, which accepts nothing but a tf.function.
run = tf.distribute.MirroredStrategy.run
def checked_run(self, fn, *args, **kwargs):
    tpu_strategy.validate_run_function(fn)
    return run(self, fn, *args, **kwargs)
tf.distribute.MirroredStrategy.run = checked_run

class Model:
    def __init__(self, strategy):
        self.distribute_strategy, self.metrics = strategy, [tf.keras.metrics.Mean()]
        self.train_step = type("Step", (), {"metrics": ()})

def update_of(model):
    @tf.function
    def update(x):
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        model.metrics[0].update_state(x / (1 + 2 * tf.cast(replica, tf.float32)))
    return update

def mean(strategy, steps, restart=None):
    with strategy.scope():
        model = Model(strategy)
        update = update_of(model)
        for step in range(steps):
            if step == restart:
                values = metric_state.read(model)
                model = Model(strategy)
                update = update_of(model)
                metric_state.write(model, values)
            strategy.run(update, (tf.constant(0.1 + step / 7),))
        return model.metrics[0].result().numpy(), metric_state.read(model)

mirrored = tf.distribute.MirroredStrategy([f"CPU:{index}" for index in range(devices)])
for strategy, count in ((mirrored, 2), (tf.distribute.get_strategy(), 1)):
    result, values = mean(strategy, 23)
    assert [len(value) for value in values] == [count, count], values
    for restart in (1, 10, 22):
        assert mean(strategy, 23, restart) == (result, values)
assert distribution.maximum(mirrored, 7) == 7
assert distribution.gather(mirrored, [3, 2**40]) == [[3, 2**40]] * 2
assert not distribution.has_several_workers(mirrored)

# With another number of devices, the sums stay.
model = Model(tf.distribute.get_strategy())
metric_state.write(model, [[1.5, 2.25], [3.0, 4.0]])
assert metric_state.read(model) == [[3.75], [7.0]]
with mirrored.scope():
    model = Model(mirrored)
    metric_state.write(model, [[3.5], [2.0]])
    assert metric_state.read(model) == [[3.5, 0.0], [2.0, 0.0]]
print("done")
"""


def test_they_continue_on_one_and_on_several_devices():
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, env=os.environ
    )
    assert done.stdout == "done\n", done.stderr[-3000:]
