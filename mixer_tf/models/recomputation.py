# SPDX-License-Identifier: Apache-2.0
"""Blocks that compute their activations twice instead of keeping them for the gradient.

Chen et al., 2016 (arXiv:1604.06174): of each block, a training step keeps the input alone. Known
as gradient checkpointing, and as remat in JAX.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
from collections.abc import Callable, Iterator

import tensorflow as tf

from mixer_tf.models import noise

_is_on: contextvars.ContextVar[bool] = contextvars.ContextVar("is_on", default=False)


@contextlib.contextmanager
def recomputing(is_on: bool = True) -> Iterator[None]:
    """Within the block, the blocks of a model keep their inputs alone for the gradient.

    Args:
        is_on: False keeps all that the gradient needs.
    """
    token = _is_on.set(is_on)
    try:
        yield
    finally:
        _is_on.reset(token)


def recomputed(call: Callable) -> Callable:
    """Decorates the `call` of a block, of which `recomputing` keeps the input only.

    Noise is drawn once, so that the result is the same. In 16 bits too, a block must leave its
    weights to its inner layers, which cast them.

    Args:
        call: (layer, x, training) -> tensor.
    """

    @functools.wraps(call)
    def wrapper(self, x, training=None):
        if training is not True or not _is_on.get():
            return call(self, x, training=training)
        replay = noise.Replay()

        @tf.recompute_grad
        def function(x):
            # A block within the block is a part of it.
            with recomputing(False), replay.noise():
                return call(self, x, training=True)

        return function(x)

    return wrapper
