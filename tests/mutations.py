# SPDX-License-Identifier: Apache-2.0
"""Seeded mutations of a file, given to a reader in a child process that may crash, hang or grow."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from mixer_tf.benchmarks import machine

MAX_SECONDS = 20  # for one mutation, on a busy machine
MAX_KILOBYTES = 2 << 20
_HEAD_BYTES = 3000
_EDGES = (0, 0x7F, 0x80, 0xFF)


@dataclasses.dataclass(frozen=True)
class Findings:
    """What a child process reports of its mutations.

    Attributes:
        wrong: one line for each mutation that the reader did not treat right.
        seconds: the longest time that one mutation took.
        kilobytes: peak memory of the process.
        accepted: the number of mutations that the reader accepted.
    """

    wrong: list[str]
    seconds: float
    kilobytes: int
    accepted: int

    def require_none(self) -> None:
        assert self.wrong == []
        assert self.seconds < MAX_SECONDS
        assert self.kilobytes < MAX_KILOBYTES


def run(script: str, *arguments: object) -> Findings:
    """Runs a script, which calls `report`, in a process of its own.

    Args:
        script: path of the Python file.
        arguments: its arguments.

    Raises:
        subprocess.CalledProcessError: the process crashed.
    """
    tests = os.path.dirname(__file__)
    path = os.pathsep.join([tests, os.path.dirname(tests), os.environ.get("PYTHONPATH", "")])
    child = subprocess.run(
        [sys.executable, "-X", "faulthandler", script, *map(str, arguments)],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert child.returncode == 0, child.stderr[-3000:]
    assert "Traceback" not in child.stderr, child.stderr[-3000:]
    return Findings(*json.loads(child.stdout.splitlines()[-1]))


def mutate(original: bytes, count: int, seed: int = 0) -> Iterator[bytes]:
    """Yields contents with up to 5 other bytes; some are cut, or have a run of equal bytes."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        content = bytearray(original)
        for _ in range(rng.integers(1, 6)):
            end = len(content) if rng.random() < 0.5 else min(len(content), _HEAD_BYTES)
            content[rng.integers(end)] = rng.integers(256)
        choice = rng.random()
        if choice < 0.2:
            del content[rng.integers(len(content)) :]
        elif choice < 0.3:
            at, size = rng.integers(len(content)), rng.integers(1, 9)
            content[at : at + size] = bytes([rng.choice(_EDGES)] * size)
        yield bytes(content)


def report(contents: Sequence[bytes] | Iterator[bytes], read: Callable[[bytes], str | None]):
    """Prints what `run` returns.

    Args:
        contents: the mutations.
        read: reads one. It returns "" if it is accepted, None if it is refused with a clear error,
            and what is wrong otherwise.
    """
    wrong, slowest, accepted = [], 0.0, 0
    for number, content in enumerate(contents):
        start = time.monotonic()
        try:
            answer = read(content)
        except Exception as error:
            answer = repr(error)[:300]
        slowest = max(slowest, time.monotonic() - start)
        accepted += answer == ""
        wrong += [f"{number}: {answer}"] if answer else []
    print(json.dumps([wrong, slowest, machine.peak_memory() // 1024, accepted]))
