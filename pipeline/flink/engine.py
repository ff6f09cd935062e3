# SPDX-License-Identifier: Apache-2.0
"""Starts and stops Flink: embedded in Beam's job server, or as a cluster of several processes."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import shlex
import sys
import urllib.error
import urllib.request

from mixer_tf import storage
from pipeline.flink import downloads, processes

ROOT = pathlib.Path(__file__).parents[2]
JARS = str(ROOT / ".tools" / "flink")
FOLDER = os.path.join(JARS, "run")

_HOST = "127.0.0.1"
_MASTER = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
_WORKER = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
_JOB_SERVER = "org.apache.beam.runners.flink.FlinkJobServerDriver"
# What Flink 1.19 reads by reflection, which Java 17 allows only on request.
_OPENED = (
    *(
        "java.lang",
        "java.lang.reflect",
        "java.net",
        "java.text",
        "java.time",
        "java.io",
        "java.nio",
    ),
    *("java.math", "java.util", "java.util.concurrent", "java.util.concurrent.atomic"),
    "java.util.concurrent.locks",
)
# For small jobs: a simple compiler and collector take half the processor time.
_FAST_START = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
# Megabytes. The parts of a TaskManager's memory, which Flink's shell scripts would compute.
_HEAP, _NETWORK, _MANAGED, _OTHER = 512, 512, 512, 128
_CONFIG = """\
jobmanager.rpc.address: {host}
jobmanager.rpc.port: {rpc_port}
jobmanager.bind-host: {host}
rest.address: {host}
rest.bind-address: {host}
rest.port: {rest_port}
taskmanager.host: {host}
taskmanager.bind-host: {host}
taskmanager.numberOfTaskSlots: {slots}
taskmanager.cpu.cores: {slots}.0
taskmanager.memory.task.heap.size: {heap}m
taskmanager.memory.task.off-heap.size: {other}m
taskmanager.memory.framework.heap.size: {other}m
taskmanager.memory.framework.off-heap.size: {other}m
taskmanager.memory.managed.size: {managed}m
taskmanager.memory.network.min: {network}m
taskmanager.memory.network.max: {network}m
taskmanager.memory.jvm-metaspace.size: {heap}m
taskmanager.memory.jvm-overhead.min: {other}m
taskmanager.memory.jvm-overhead.max: {other}m
# A worker that died is noticed in about ten seconds; its tasks start again on the others. Each
# group of tasks that it ran counts as an attempt.
heartbeat.interval: 2000
heartbeat.timeout: 10000
heartbeat.rpc-failure-threshold: 2
restart-strategy.type: fixed-delay
restart-strategy.fixed-delay.attempts: 20
restart-strategy.fixed-delay.delay: 2s
"""
# Log4j's default shows errors only.
_LOGGING = """\
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = console
appender.console.name = console
appender.console.type = Console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %-5p %c - %m%n
"""


@dataclasses.dataclass(frozen=True)
class Engine:
    """A Flink that runs.

    Attributes:
        beam: the options of the local runner's --beam.
        rest_port: port of Flink's REST interface and web page; 0 where it is embedded.
    """

    beam: str
    rest_port: int = 0


def start(cluster: bool, task_managers: int = 1, slots: int = 2, folder: str = FOLDER) -> Engine:
    """Starts Flink; it runs until `stop`.

    Args:
        cluster: False for Flink within the job server, where Beam's workers are threads of the
            process that runs the pipeline; True for a JobManager, TaskManagers and a pool of
            worker processes.
        task_managers: number of TaskManagers of a cluster.
        slots: number of tasks at a time, of each TaskManager or of the embedded Flink.
        folder: the folder for pid files, logs, configuration and files of jobs.

    Raises:
        ValueError: one was started in this folder and still runs, or a program or the jars are not
            there and cannot be downloaded.
        RuntimeError: a process ended at once; the message names its log.
    """
    if running := processes.list_running(folder):
        raise ValueError(
            f"Flink must not run twice in one folder; {', '.join(sorted(running))} of {folder} "
            "still run. Stop them: python -m pipeline.flink stop"
        )
    stop(folder)  # removes the pid files of processes that have ended with the machine
    downloads.require_java()
    storage.make_folder(folder)
    try:
        return _start_cluster(task_managers, slots, folder) if cluster else _embed(slots, folder)
    except BaseException:
        stop(folder)
        raise


def stop(folder: str = FOLDER) -> list[str]:
    """Ends all processes that `start` started, and returns their names."""
    return processes.stop_all(folder)


def _embed(slots: int, folder: str) -> Engine:
    port = _start_job_server("[local]", folder, heap="3g")
    return Engine(_options(port, slots, "--environment_type=LOOPBACK"))


def _start_cluster(task_managers: int, slots: int, folder: str) -> Engine:
    rpc_port, rest_port, pool_port = processes.free_ports(3)
    jars = downloads.fetch_flink(JARS)
    _write_configuration(folder, rpc_port=rpc_port, rest_port=rest_port, slots=slots)
    master = [_MASTER, "--executionMode", "cluster", "--configDir", folder]
    _start_java(folder, "jobmanager", [*_java(jars, f"-Xmx{_HEAP}m"), *master])
    memory = [f"-Xmx{_HEAP + _OTHER}m", f"-XX:MaxDirectMemorySize={2 * _OTHER + _NETWORK}m"]
    for number in range(task_managers):
        name = f"taskmanager-{number + 1}"
        worker = [_WORKER, "--configDir", folder, f"-Dtaskmanager.resource-id={name}"]
        _start_java(folder, name, [*_java(jars, *memory), *worker])
    _start_worker_pool(pool_port, folder)
    processes.wait_until(
        lambda: _count_slots(rest_port) == task_managers * slots,
        folder,
        f"{task_managers} TaskManagers register at the JobManager",
    )
    processes.wait_until(lambda: processes.listens(pool_port), folder, "the worker pool listens")
    port = _start_job_server(f"{_HOST}:{rest_port}", folder)
    # A worker process is used again by the next stage of its job.
    environment = (
        f"--environment_type=EXTERNAL --environment_config=localhost:{pool_port} "
        "--environment_cache_millis=60000"
    )
    return Engine(_options(port, task_managers * slots, environment), rest_port)


def _options(job_port: int, parallelism: int, environment: str) -> str:
    return (
        f"--runner=PortableRunner --job_endpoint=localhost:{job_port} --parallelism={parallelism} "
        f"{environment} "
        # The workers run this checkout in this environment: TFX need not pack itself for them, and
        # Beam need not list the packages, which in an environment without pip it cannot.
        "--sdk_container_image=none --experiments=disable_logging_submission_environment"
    )


def _start_job_server(flink: str, folder: str, heap: str = "1g") -> int:
    """Starts it; an embedded Flink sorts in a part of the heap, which all its tasks share."""
    jars = downloads.fetch_job_server(JARS)
    job_port, artifact_port, expansion_port = processes.free_ports(3)
    ports = [f"--job-port={job_port}", f"--artifact-port={artifact_port}"]
    command = [
        *_java(jars, f"-Xmx{heap}"),
        _JOB_SERVER,
        f"--job-host={_HOST}",
        *ports,
        f"--expansion-port={expansion_port}",
        f"--flink-master={flink}",
        f"--artifacts-dir={os.path.join(folder, 'artifacts')}",
    ]
    processes.start(folder, "job-server", command, {})
    processes.wait_until(lambda: processes.listens(job_port), folder, "the job server listens")
    return job_port


def _java(jars: str, *memory: str) -> list[str]:
    opened = [f"--add-opens=java.base/{name}=ALL-UNNAMED" for name in _OPENED]
    return ["java", *_FAST_START, *memory, *opened, "-cp", os.path.join(jars, "*")]


def _start_java(folder: str, name: str, command: list[str]) -> None:
    logging = f"-Dlog4j.configurationFile={os.path.join(folder, 'log4j.properties')}"
    processes.start(folder, name, [command[0], logging, *command[1:]], {})


def _start_worker_pool(port: int, folder: str) -> None:
    """The pool starts workers as `python`, so that this environment must be the first on PATH."""
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")])
    command = [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main"]
    variables = {"PATH": path, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    processes.start(folder, "worker-pool", [*command, f"--service_port={port}"], variables)


def _write_configuration(folder: str, **values: int) -> None:
    memory = {"heap": _HEAP, "network": _NETWORK, "managed": _MANAGED, "other": _OTHER}
    text = _CONFIG.format(host=_HOST, **memory, **values)
    storage.write_text(os.path.join(folder, "config.yaml"), text)
    storage.write_text(os.path.join(folder, "log4j.properties"), _LOGGING)


def _count_slots(rest_port: int) -> int:
    """The number of slots that the JobManager knows of; 0 while it does not answer."""
    try:
        with urllib.request.urlopen(f"http://{_HOST}:{rest_port}/overview", timeout=5) as answer:
            return json.load(answer)["slots-total"]
    except (urllib.error.URLError, OSError, ValueError):
        return 0


def quoted(engine: Engine) -> str:
    """Returns the option of the local runner, quoted for a shell."""
    return shlex.join([f"--beam={engine.beam}"])
