# SPDX-License-Identifier: Apache-2.0
"""One clear error where another worker of a training has died or cannot be reached."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable

import tensorflow as tf

from mixer_tf.messages import listing
from mixer_tf.training import cluster

_ABORTED = "Collective ops is aborted"
# How TensorFlow names the worker that did not respond; an error that another one passes on has it
# as well.
_LOST = re.compile(r"(?:remote target|Task) /job:(\w+)/replica:\d+/task:(\d+)")
_NO_RESPONSE = (tf.errors.UnavailableError, tf.errors.DeadlineExceededError)


class WorkerLostError(ConnectionError):
    """Another worker has died or cannot be reached; the message names it and says what to do."""


def is_lost(error: Exception) -> bool:
    """Whether an exception of TensorFlow means that another worker is lost.

    An error of this worker's own, such as for lack of memory, also ends the exchange with the
    others, but it names none of them.
    """
    if not isinstance(error, tf.errors.OpError) or cluster.num_workers() < 2:
        return False
    return bool(_named(error)) or (isinstance(error, _NO_RESPONSE) and _ABORTED in str(error))


def explain(error: Exception, resumes: bool = True) -> WorkerLostError:
    """Returns the clear error for one that `is_lost`.

    Args:
        error: the exception of TensorFlow.
        resumes: whether the training has checkpoints.
    """
    others = list(cluster.other_workers())
    lost = _named(error) or _unreachable(others) or others
    one_of = "one of " if len(lost) == len(others) > 1 else ""
    does = "resumes from the last checkpoint" if resumes else "starts the training again"
    return WorkerLostError(
        f"all workers must run until the end; {one_of}{listing(lost, show=cluster.title)} failed "
        "or cannot be reached. Look for the reason in the messages there; the same command on all "
        f"machines {does}."
    )


def explained(fit: Callable) -> Callable:
    """Decorates a training, so that it raises WorkerLostError.

    Args:
        fit: a function with the keyword argument `checkpoint_dir`.
    """

    @functools.wraps(fit)
    def wrapped(*args, **kwargs):
        try:
            return fit(*args, **kwargs)
        except tf.errors.OpError as error:
            if not is_lost(error):
                raise
            raise explain(error, bool(kwargs.get("checkpoint_dir"))) from error

    return wrapped


def _named(error: Exception) -> list[str]:
    named = [f"{kind}_{index}" for kind, index in _LOST.findall(str(error))]
    return [name for name in cluster.other_workers() if name in named]


def _unreachable(names: list[str]) -> list[str]:
    addresses = cluster.other_workers()
    return [name for name in names if not cluster.is_reachable(addresses[name])]
