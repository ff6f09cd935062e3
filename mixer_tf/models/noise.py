# SPDX-License-Identifier: Apache-2.0
"""The seeds of stochastic depth and dropout in a training step.

Within `step_noise`, the noise depends on the seed and the layer only, so that a training that is
resumed after a step draws what it would have drawn. TensorFlow's own random state is not part of a
checkpoint.
"""

from __future__ import annotations

import contextlib
import contextvars
import itertools
from collections.abc import Iterator

import tensorflow as tf

_seeds: contextvars.ContextVar[Iterator[tf.Tensor] | None] = contextvars.ContextVar("seeds")


@contextlib.contextmanager
def step_noise(seed: int, step: tf.Tensor) -> Iterator[None]:
    """Within the block, the layers of a model draw their noise from the seed and the step.

    Args:
        seed: training seed.
        step: int64 [], the number of the step. Each replica draws other noise.
    """
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    pair = tf.stack([tf.constant(seed, tf.int64), tf.cast(step, tf.int64)])
    step_seed = tf.random.experimental.stateless_fold_in(pair, tf.cast(replica, tf.int64))
    fold = tf.random.experimental.stateless_fold_in
    token = _seeds.set(fold(step_seed, tf.constant(n, tf.int64)) for n in itertools.count())
    try:
        yield
    finally:
        _seeds.reset(token)


class Replay:
    """The seeds that a part of a model draws, for a part that is computed more than once."""

    def __init__(self):
        self._drawn: list[tf.Tensor] | None = None

    @contextlib.contextmanager
    def noise(self) -> Iterator[None]:
        """Within the block, the first time, seeds are drawn as outside; later the same again."""
        if self._drawn is None:
            self._drawn = []
            seeds = _recorded(_seeds.get(None), self._drawn)
        else:
            seeds = iter(self._drawn)
        token = _seeds.set(seeds)
        try:
            yield
        finally:
            _seeds.reset(token)


def _recorded(seeds: Iterator[tf.Tensor] | None, drawn: list[tf.Tensor]) -> Iterator[tf.Tensor]:
    if seeds is None:
        raise RuntimeError("A part that is computed twice must draw its noise within step_noise.")
    for seed in seeds:
        drawn.append(seed)
        yield seed


def next_seed() -> tf.Tensor | None:
    """Returns a seed, int64 [2], for the next layer that draws; None outside of `step_noise`."""
    seeds = _seeds.get(None)
    return None if seeds is None else next(seeds)
