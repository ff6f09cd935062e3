# SPDX-License-Identifier: Apache-2.0
"""One clear error where a training step does not fit in the memory of its device."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable

import tensorflow as tf

from mixer_tf.recipes.schema import Recipe

# TensorFlow's own allocators, and XLA. A full disk is a ResourceExhaustedError as well.
_OUT_OF_MEMORY = re.compile(r"OOM when allocating.*|Out of memory.*|[Ff]ailed to allocate.*")


class OutOfMemoryError(RuntimeError):
    """The memory of a device is too small; the message says what needs less."""


def explained(fit: Callable) -> Callable:
    """Decorates a training, whose first argument is the recipe, so that it raises the clear error.

    Processes that the system ends for lack of main memory raise no error.
    """

    @functools.wraps(fit)
    def wrapped(recipe: Recipe, *args, **kwargs):
        try:
            return fit(recipe, *args, **kwargs)
        except tf.errors.ResourceExhaustedError as error:
            found = _OUT_OF_MEMORY.search(str(error))
            if not found:
                raise
            raise OutOfMemoryError(_message(recipe, found[0])) from error

    return wrapped


def _message(recipe: Recipe, problem: str) -> str:
    training = recipe.training
    parts = 2 * training.accumulation_steps
    ways = [f"a smaller --batch-size than {training.batch_size:,}"]
    if training.batch_size % parts == 0:
        field = f"training.accumulation_steps={parts}"
        ways.append(f"--set {field}, which computes a batch in {parts} parts")
    if not training.recompute:
        ways.append("--set training.recompute=true, which takes about a third longer")
    what = problem.partition(" by allocator")[0]
    return (
        f"a training step must fit in the memory of the device; {what}. Use {', or '.join(ways)}."
    )
