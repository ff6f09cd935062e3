# SPDX-License-Identifier: Apache-2.0
"""The NVIDIA GPUs of this machine, counted and lent without TensorFlow, which would take memory."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator

_NO_GPU = "-1"


def count_gpus() -> int:
    """Returns the number of GPUs, at least 1, without those that CUDA_VISIBLE_DEVICES hides."""
    visible = _visible_gpus()
    if visible is not None:
        return max(1, len(visible))
    program = shutil.which("nvidia-smi")
    if not program:
        return 1
    listed = subprocess.run([program, "-L"], capture_output=True, text=True, check=False).stdout
    return max(1, listed.count("GPU "))


def make_lender(parallel: int) -> Callable[[], contextlib.AbstractContextManager[str | None]]:
    """Returns a function that lends the name of a GPU to each of `parallel` borrowers.

    None for a single borrower; "-1", which stands for no GPU, where all are hidden.
    """
    if parallel == 1:
        return lambda: contextlib.nullcontext(None)
    visible = _visible_gpus()
    if visible is None:
        visible = [str(number) for number in range(count_gpus())]
    visible = visible or [_NO_GPU]
    free = [visible[number % len(visible)] for number in range(parallel)][::-1]

    @contextlib.contextmanager
    def lend() -> Iterator[str]:
        device = free.pop()
        try:
            yield device
        finally:
            free.append(device)

    return lend


def _visible_gpus() -> list[str] | None:
    """Returns the names of the GPUs that CUDA_VISIBLE_DEVICES lists; None if it is not set."""
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if listed is None:
        return None
    names = (name.strip() for name in listed.split(","))
    return list(itertools.takewhile(lambda name: name and name != _NO_GPU, names))  # as CUDA does
