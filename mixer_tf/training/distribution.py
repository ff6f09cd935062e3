# SPDX-License-Identifier: Apache-2.0
"""From one word to a tf.distribute strategy: where a training runs."""

from __future__ import annotations

import contextlib
import os
import re
import socket

import grpc
import tensorflow as tf

from mixer_tf.training import cluster

STRATEGIES = ("auto", "default", "mirrored", "multi_worker", "tpu", "tpu:NAME")
CONNECT_SECONDS = 10.0


def create_strategy(word: str = "auto") -> tf.distribute.Strategy:
    """Returns the strategy that `word` names.

    * "auto": a TPU where TPU_NAME is set, several workers where TF_CONFIG names them, all GPUs
      where there is more than one, else "default".
    * "default": one device, the GPU if there is one.
    * "mirrored": all GPUs of this machine.
    * "multi_worker": the machines that TF_CONFIG lists, each running this same program.
    * "tpu": the TPU of this machine, or that of TPU_NAME; "tpu:NAME" another one by its name or
      its address "grpc://HOST:PORT".

    Raises:
        ValueError: an unknown word, or no TF_CONFIG for "multi_worker".
        ConnectionError: no TPU answers.
    """
    kind, _, name = word.partition(":")
    if word.strip() == "" or kind not in [known.partition(":")[0] for known in STRATEGIES]:
        raise ValueError(f"strategy must be one of {', '.join(STRATEGIES)}; got {word!r}.")
    if name and kind != "tpu":
        raise ValueError(f"only tpu takes a name, as in tpu:my-tpu; got {word!r}.")
    if kind == "auto":
        kind = _auto()
    if kind == "mirrored":
        return tf.distribute.MirroredStrategy()
    if kind == "multi_worker":
        return _multi_worker()
    if kind == "tpu":
        return _tpu(name or os.environ.get("TPU_NAME") or "local")
    return tf.distribute.get_strategy()


def _auto() -> str:
    if os.environ.get("TPU_NAME"):
        return "tpu"
    if cluster.num_workers() > 1:
        return "multi_worker"
    return "mirrored" if len(tf.config.list_physical_devices("GPU")) > 1 else "default"


def _multi_worker() -> tf.distribute.Strategy:
    if not cluster.num_workers():
        raise ValueError(
            "multi_worker needs the environment variable TF_CONFIG with the addresses of all "
            f"workers; got TF_CONFIG={os.environ.get('TF_CONFIG')!r}. Set for example "
            '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, '
            '"task": {"type": "worker", "index": 0}}, with its own index on each machine.'
        )
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        raise ValueError(
            "multi_worker must be the first thing that TensorFlow does in a process; got one "
            f"that has computed before ({error}). Make the strategy at the start."
        ) from error


def _tpu(name: str) -> tf.distribute.Strategy:
    try:
        with _socket_timeout(CONNECT_SECONDS):
            resolver = tf.distribute.cluster_resolver.TPUClusterResolver(name)
        _require_answer(resolver.cluster_spec())
        if name != "local":
            tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except Exception as error:  # the resolver raises whatever its HTTP client raised
        raise ConnectionError(
            f"strategy tpu needs a TPU that answers; got {name!r}: {_first_sentence(error)} "
            "Run this on a TPU VM, set TPU_NAME, or use --strategy=default."
        ) from error
    return tf.distribute.TPUStrategy(resolver)


def _require_answer(spec: tf.train.ClusterSpec) -> None:
    """Raises ConnectionError unless each worker answers; TensorFlow itself would wait for ever."""
    for job in spec.jobs:
        for address in spec.job_tasks(job):
            with grpc.insecure_channel(address) as channel:
                try:
                    grpc.channel_ready_future(channel).result(CONNECT_SECONDS)
                except grpc.FutureTimeoutError:
                    raise ConnectionError(
                        f"{address} did not answer within {CONNECT_SECONDS:.0f} s"
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
    """Whether this process is the one, of several workers, that writes files and speaks."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return True
    resolver = strategy.cluster_resolver
    has_chief = "chief" in resolver.cluster_spec().jobs
    return resolver.task_type == "chief" or (not has_chief and resolver.task_id == 0)
