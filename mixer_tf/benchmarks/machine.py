# SPDX-License-Identifier: Apache-2.0
"""What this machine has: its device, its free memory, and the rate of its matrix products."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import platform
import re
import shutil
import subprocess

from mixer_tf.benchmarks.timing import calls_per_second

# Side of the matrices; a GPU needs larger ones to be busy.
_SIDE = 1024
GPU_SIDE = 8192
MATRIX_SECONDS = 0.5
# Limit, use, statistics, and their line on the page cache that the system frees first.
_CGROUPS = (
    (
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory.current",
        "/sys/fs/cgroup/memory.stat",
        "inactive_file",
    ),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        "/sys/fs/cgroup/memory/memory.stat",
        "total_inactive_file",
    ),
)
# What a process with TensorFlow needs on a CPU before it computes anything.
PROCESS_BYTES = 700 * 10**6


@dataclasses.dataclass(frozen=True)
class Machine:
    """This machine.

    Attributes:
        title: such as "this machine (2 CPU cores)".
        cores: number of CPU cores, or of GPUs if there is one.
        memory: bytes that are free for a training.
    """

    title: str
    cores: int
    memory: int


def this_machine() -> Machine:
    """Returns the device that TensorFlow uses here."""
    gpus = _gpus()
    if gpus:
        names, free = zip(*gpus, strict=True)
        return Machine(f"this machine ({len(gpus)} x {names[0]})", len(gpus), min(free))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    name = f"this machine ({cores} CPU cores)"
    return Machine(name, cores or 1, max(available_memory() - PROCESS_BYTES, 0))


def available_memory() -> int:
    """Returns the bytes of main memory that a new process can have without swapping.

    In a container, the page cache that the system frees first counts as free, as for Kubernetes.
    """
    found = [_free_in_system()]
    for limit, used, statistics, cache in _CGROUPS:
        texts = [_read(path) for path in (limit, used)]
        if all(text.isdecimal() for text in texts):
            line = re.search(rf"^{cache} (\d+)$", _read(statistics), re.MULTILINE)
            needed = max(int(texts[1]) - (int(line[1]) if line else 0), 0)
            found.append(max(int(texts[0]) - needed, 0))
    return min(found)


def processor() -> str:
    """Returns the name of the processor, as the system gives it."""
    for line in _read("/proc/cpuinfo").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def matrix_rate(precision: str = "float32", seconds: float = MATRIX_SECONDS) -> float:
    """Returns the floating-point operations per second of a product of square matrices.

    Args:
        precision: a dtype policy; a mixed one multiplies in 16 bits.
        seconds: duration of the measurement.
    """
    import tensorflow as tf

    dtype = precision.removeprefix("mixed_")
    side = GPU_SIDE if tf.config.list_physical_devices("GPU") else _SIDE
    matrix = tf.cast(tf.random.normal([side, side]), dtype)
    product = tf.function(lambda: tf.matmul(matrix, matrix)[0, 0])
    return 2 * side**3 * calls_per_second(product, seconds, wait=float)


def device_peak_memory() -> int:
    """Returns the bytes that this process has had at most on TensorFlow's first device.

    It is that of the first GPU, or the main memory without one.
    """
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        return tf.config.experimental.get_memory_info("GPU:0")["peak"]
    return peak_memory()


def peak_memory() -> int:
    """Returns the bytes of main memory that this process has had at most; 0 without /proc.

    Not `ru_maxrss`, which begins with that of the process that started this one.
    """
    found = re.search(r"^VmHWM:\s+(\d+) kB", _read("/proc/self/status"), re.MULTILINE)
    return 1024 * int(found[1]) if found else 0


def _gpus() -> list[tuple[str, int]]:
    """Returns the name and the free bytes of each GPU that TensorFlow uses."""
    import tensorflow as tf

    number = len(tf.config.list_physical_devices("GPU"))
    if not number or not shutil.which("nvidia-smi"):
        return []
    query = ["nvidia-smi", "--query-gpu=name,memory.free", "--format=csv,noheader,nounits"]
    if chosen := os.environ.get("CUDA_VISIBLE_DEVICES"):
        query.append(f"--id={chosen}")
    lines = subprocess.run(query, capture_output=True, text=True).stdout.splitlines()
    rows = [line.rsplit(",", 1) for line in lines[:number]]
    return [(name.strip(), int(megabytes) << 20) for name, megabytes in rows]


def _free_in_system() -> int:
    for line in _read("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return 1024 * int(line.split()[1])
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")  # no Linux: all memory


def _read(path: str) -> str:
    try:
        return pathlib.Path(path).read_text().strip()
    except OSError:
        return ""
