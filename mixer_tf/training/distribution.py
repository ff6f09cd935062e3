# SPDX-License-Identifier: Apache-2.0
"""create_strategy: from a name to the tf.distribute strategy that a training runs under."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import socket
from collections.abc import Sequence

import grpc
import tensorflow as tf

from mixer_tf.training import cluster, interruption, rendezvous

CONNECT_SECONDS = 10.0
_TIMES = " times training.accumulation_steps"


def create_strategy(name: str = "auto") -> tf.distribute.Strategy:
    """Returns the strategy that `name` stands for.

    * "auto": a TPU if TPU_NAME is set, several workers if TF_CONFIG lists them, all GPUs if there
      is more than one, else "default".
    * "default": one device, the GPU if there is one.
    * "mirrored": all GPUs of this machine.
    * "multi_worker": the machines that TF_CONFIG lists, each of which runs the same program.
    * "tpu": the TPU of this machine, or that of TPU_NAME; "tpu:NAME" another one by its name or
      its address "grpc://HOST:PORT"; "tpu:NAME@ZONE@PROJECT" one of another Google Cloud zone or
      project than this machine's.

    Raises:
        ValueError: the name is unknown, "multi_worker" has no TF_CONFIG, or TF_CONFIG lists several
            workers for a strategy of one machine.
        ConnectionError: no TPU responds, or another worker does not.
    """
    kind, tpu = _resolve(name)
    if kind == "mirrored":
        return tf.distribute.MirroredStrategy()
    if kind == "multi_worker":
        return _multi_worker()
    if kind == "tpu":
        return _tpu(tpu)
    return tf.distribute.get_strategy()


def describe(strategy: tf.distribute.Strategy) -> tuple[str, str]:
    """Returns the kind of the devices of a strategy, such as "GPU", and the name of the strategy.

    The name is one that `create_strategy` takes, or that of another class.
    """
    has_gpu = bool(tf.config.list_physical_devices("GPU"))
    names = {
        type(tf.distribute.get_strategy()): "default",  # in its scope it is the one itself
        tf.distribute.MultiWorkerMirroredStrategy: "multi_worker",
        tf.distribute.MirroredStrategy: "mirrored",
        tf.distribute.TPUStrategy: "tpu",
    }
    name = names.get(type(strategy), type(strategy).__name__)
    return "TPU core" if name == "tpu" else "GPU" if has_gpu else "CPU", name


def count_devices(name: str) -> int | None:
    """Returns the number of devices of a strategy that is not created; None where only it knows.

    Args:
        name: see `create_strategy`.

    Raises:
        ValueError, ConnectionError: see `create_strategy`.
    """
    kind, tpu = _resolve(name)
    if kind == "mirrored":
        return max(1, len(tf.config.list_physical_devices("GPU")))
    if kind == "multi_worker":
        _require_workers()
        return None
    if kind == "tpu":
        _resolve_tpu(tpu)
        return None
    return 1


def require_divisible(batch_size: int, num_devices: int, accumulation_steps: int = 1) -> None:
    """Raises ValueError unless all devices can get an equal part of each batch.

    Args:
        batch_size: number of examples of a batch.
        num_devices: number of devices.
        accumulation_steps: number of equal parts in which each device computes its part.
    """
    divisor = num_devices * accumulation_steps
    below = batch_size - batch_size % divisor
    if below != batch_size:
        sizes = [size for size in (below, below + divisor) if size]
        times = f" with accumulation_steps={accumulation_steps}" if accumulation_steps > 1 else ""
        raise ValueError(
            f"training.batch_size must be a multiple of the number of devices{_TIMES * bool(times)}"
            f"; got batch_size={batch_size} on {num_devices} devices{times}. "
            f"Use {' or '.join(map(str, sizes))}."
        )


def _resolve(name: str) -> tuple[str, cluster.TPUAddress]:
    """Returns the kind of a strategy, which is not "auto", and the TPU."""
    kind, tpu = cluster.parse_strategy(name)
    if not tpu.name:
        tpu = dataclasses.replace(tpu, name=os.environ.get("TPU_NAME") or "local")
    kind = _auto() if kind == "auto" else kind
    if kind in ("default", "mirrored") and cluster.num_workers() > 1:
        raise ValueError(
            f"{kind} must run on one machine; {cluster.VARIABLE} lists {cluster.num_workers()} "
            f"workers. Use --strategy=multi_worker, or unset {cluster.VARIABLE}."
        )
    return kind, tpu


def _auto() -> str:
    if os.environ.get("TPU_NAME"):
        return "tpu"
    if cluster.num_workers() > 1:
        return "multi_worker"
    return "mirrored" if len(tf.config.list_physical_devices("GPU")) > 1 else "default"


def _require_workers() -> None:
    if not cluster.num_workers():
        raise ValueError(
            f"multi_worker requires the environment variable {cluster.VARIABLE} with the addresses "
            f"of all workers; got {cluster.VARIABLE}={cluster.tf_config()!r}. Set for example "
            '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, '
            '"task": {"type": "worker", "index": 0}}, with a different index on each machine.'
        )


def _multi_worker() -> tf.distribute.Strategy:
    _require_workers()
    rendezvous.wait_for_all()
    try:
        # Until the others respond, it does not return to Python, which would handle the signal.
        with interruption.signals_end_the_process():
            return tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        raise ValueError(
            "multi_worker must be the first thing that TensorFlow does in a process; this one has "
            f"computed before ({error}). Create the strategy at the start."
        ) from error


def _tpu(tpu: cluster.TPUAddress) -> tf.distribute.Strategy:
    resolver = _resolve_tpu(tpu)
    with _tpu_errors(tpu):
        if tpu.name != "local":
            tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    return tf.distribute.TPUStrategy(resolver)


def _resolve_tpu(
    tpu: cluster.TPUAddress,
) -> tf.distribute.cluster_resolver.TPUClusterResolver:
    with _tpu_errors(tpu):
        with _socket_timeout(CONNECT_SECONDS):
            resolver = tf.distribute.cluster_resolver.TPUClusterResolver(
                tpu.name, zone=tpu.zone, project=tpu.project
            )
        _require_response(resolver.cluster_spec())
    return resolver


@contextlib.contextmanager
def _tpu_errors(tpu: cluster.TPUAddress):
    try:
        yield
    except Exception as error:  # the resolver raises whatever its HTTP client raised
        raise ConnectionError(
            f"strategy tpu requires a TPU that responds; got {str(tpu)!r}: "
            f"{_first_sentence(error)} "
            "Run this on a TPU VM, set TPU_NAME, or use --strategy=default."
        ) from error


def _require_response(spec: tf.train.ClusterSpec) -> None:
    """Raises ConnectionError unless all workers respond; TensorFlow would wait indefinitely."""
    for job in spec.jobs:
        for address in spec.job_tasks(job):
            with grpc.insecure_channel(address) as channel:
                try:
                    grpc.channel_ready_future(channel).result(CONNECT_SECONDS)
                except grpc.FutureTimeoutError:
                    raise ConnectionError(
                        f"{address} did not respond within {CONNECT_SECONDS:.0f} s"
                    ) from None


@contextlib.contextmanager
def _socket_timeout(seconds: float):
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _first_sentence(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return re.split(r"(?<=[.!?])\s", text)[0].rstrip(".") + "."


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process, of several workers, writes files and shows the progress."""
    is_one_of_several = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
    return cluster.is_chief() or not is_one_of_several


def has_several_workers(strategy: tf.distribute.Strategy) -> bool:
    """Whether other processes run the same training, and have to do the same in each step."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy) and (
        cluster.num_workers() > 1
    )


def maximum(strategy: tf.distribute.Strategy, value: int) -> int:
    """Returns the largest value of all workers, which must all call it after the same step."""
    return max(each for (each,) in gather(strategy, [value]))


def gather(strategy: tf.distribute.Strategy, values: Sequence[int]) -> list[list[int]]:
    """Returns the values of each device of all workers, which must all call it at the same time.

    Args:
        strategy: the strategy of the training.
        values: those of this worker, which all of its devices have.
    """
    row = tf.constant([values], tf.int64)
    # Unlike `strategy.run` outside of a `tf.function`, every strategy has it.
    rows = strategy.experimental_distribute_values_from_function(lambda context: row)
    return strategy.gather(rows, axis=0).numpy().tolist()
