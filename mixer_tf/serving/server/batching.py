# SPDX-License-Identifier: Apache-2.0
"""Runs concurrent calls of one signature as one batch.

# Deviation: if a batch of several requests fails, TensorFlow Serving fails all of them. Here each
is then run alone, so that an image that cannot be read fails only its own request. And a request
that is larger than a batch runs as it is, where TensorFlow Serving splits it.
"""

from __future__ import annotations

import collections
import dataclasses
import threading
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future

import numpy as np

from mixer_tf.serving import statuses
from mixer_tf.serving.batching_parameters import BatchingParameters
from mixer_tf.serving.statuses import ServingError

Arrays = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class _Task:
    """A request that waits."""

    inputs: Arrays
    size: int
    function: Callable[[Arrays], Arrays]
    arrived: float
    result: Future


class Batcher:
    """Threads that take waiting requests, join those of one key, and split the answers."""

    def __init__(self, parameters: BatchingParameters):
        self._parameters = parameters
        self._waiting: dict[Hashable, collections.deque[_Task]] = {}
        self._changed = threading.Condition()
        self._is_closed = False
        self._threads = [
            threading.Thread(target=self._work, daemon=True, name=f"batch-{index}")
            for index in range(parameters.num_batch_threads)
        ]
        for thread in self._threads:
            thread.start()

    def run(
        self, key: Hashable, inputs: Arrays, size: int, function: Callable[[Arrays], Arrays]
    ) -> Arrays:
        """Returns `function(inputs)`, which may be computed together with other calls.

        Args:
            key: calls of one key can be joined along the first axis.
            inputs: arrays whose first axis has `size` rows.
            size: the number of examples.
            function: from inputs to outputs, row by row.

        Raises:
            ServingError: the function raised it, the queue is full, or the request is too large.
        """
        if any(np.ndim(value) == 0 or len(value) != size for value in inputs.values()):
            key = object()  # alone: without one row per example, the rows of other calls would move
        task = _Task(inputs, size, function, time.monotonic(), Future())
        with self._changed:
            self._require_room(size)
            self._waiting.setdefault(key, collections.deque()).append(task)
            self._changed.notify()
        return task.result.result()

    def close(self) -> None:
        """Ends the threads once no request waits."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _require_room(self, size: int) -> None:
        most = self._parameters.max_batch_size
        if size > most:
            raise ServingError(
                statuses.INVALID_ARGUMENT,
                f"Task size {size} is larger than maximum input batch size {most}.",
            )
        room = self._parameters.largest_batch * self._parameters.max_enqueued_batches
        waiting = sum(task.size for tasks in self._waiting.values() for task in tasks)
        if self._is_closed or waiting >= room:
            text = "The batch scheduling queue to which this task was submitted is full."
            raise ServingError(statuses.UNAVAILABLE, text)

    def _work(self) -> None:
        while batch := self._next_batch():
            try:
                _run(batch)
            except BaseException as error:  # a waiting request must get an answer in any case
                for task in batch:
                    if not task.result.done():
                        task.result.set_exception(error)

    def _next_batch(self) -> list[_Task]:
        """Waits for requests and returns those of one batch; an empty list ends the thread."""
        with self._changed:
            while True:
                ready, pause = self._find_ready()
                if ready is not None:
                    return self._take(ready)
                if self._is_closed and not self._waiting:
                    return []
                self._changed.wait(pause)

    def _find_ready(self) -> tuple[Hashable | None, float | None]:
        """Returns the key whose batch is full or has waited long enough, or the time to wait."""
        longest = self._parameters.batch_timeout_micros / 1e6
        pause = None
        for key, tasks in sorted(self._waiting.items(), key=lambda pair: pair[1][0].arrived):
            left = tasks[0].arrived + longest - time.monotonic()
            is_full = sum(task.size for task in tasks) >= self._parameters.largest_batch
            if left <= 0 or is_full or self._is_closed:
                return key, None
            pause = left if pause is None else min(pause, left)
        return None, pause

    def _take(self, key: Hashable) -> list[_Task]:
        tasks, batch, size = self._waiting[key], [], 0
        while tasks and (not batch or size + tasks[0].size <= self._parameters.largest_batch):
            batch.append(tasks.popleft())
            size += batch[-1].size
        if not tasks:
            del self._waiting[key]
        return batch


def _run(batch: Sequence[_Task]) -> None:
    """Answers the requests of a batch: together, or each alone if that fails."""
    if len(batch) > 1:
        try:
            answers = _split(batch[0].function(_join(batch)), batch)
        except Exception:
            for task in batch:
                _run([task])
            return
        for task, answer in zip(batch, answers, strict=True):
            task.result.set_result(answer)
        return
    (task,) = batch
    try:
        task.result.set_result(task.function(task.inputs))
    except Exception as error:
        task.result.set_exception(error)


def _join(batch: Sequence[_Task]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([task.inputs[name] for task in batch]) for name in batch[0].inputs}


def _split(outputs: Arrays, batch: Sequence[_Task]) -> list[dict[str, np.ndarray]]:
    ends = np.cumsum([task.size for task in batch])
    if any(np.ndim(value) == 0 or len(value) != ends[-1] for value in outputs.values()):
        raise ValueError("the outputs of a batch must have one row per example.")
    rows = {name: np.split(value, ends[:-1]) for name, value in outputs.items()}
    return [{name: pieces[at] for name, pieces in rows.items()} for at in range(len(batch))]
