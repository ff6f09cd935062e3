# SPDX-License-Identifier: Apache-2.0
"""Reads ahead in a thread. No TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")

_END = object()


def prefetched(items: Iterator[Item]) -> Iterator[Item]:
    """Yields the same items; the next one is made in a thread while the caller uses one.

    It saves time where both leave the interpreter, as the operations of TensorFlow do. An error is
    raised where the item would have come.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="prefetch") as thread:
        coming = thread.submit(next, items, _END)
        while (item := coming.result()) is not _END:
            coming = thread.submit(next, items, _END)
            yield item
