# SPDX-License-Identifier: Apache-2.0
"""The data steps on a real Apache Flink: what they write equals that of Beam's own runner.

The jars are fetched by Maven and pip into `.tools/flink`, once.
"""

import contextlib
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request

import apache_beam
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tfx.dsl.components.base import base_beam_executor
from tfx.types import standard_artifacts

from components.artifacts import DeduplicationReport, QuarantineReport
from components.deduplicator import executor as deduplicator
from components.image_example_gen import executor as image_example_gen
from components.preprocessor import executor as preprocessor
from mixer_tf.datasets import examples
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.features import SPLITS
from pipeline.flink import downloads, engine, processes

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def jars() -> None:
    """Skips where Java, Maven, pip or the network are missing."""
    try:
        downloads.require_java()
        downloads.fetch_job_server(engine.JARS)
        downloads.fetch_flink(engine.JARS)
    except downloads.MissingToolError as error:
        pytest.skip(str(error))


@contextlib.contextmanager
def running(folder: pathlib.Path, **options):
    """A Flink that runs within the block, with its files in a folder of the test."""
    try:
        yield engine.start(folder=str(folder), **options)
    finally:
        engine.stop(str(folder))


def run_steps(source: str, folder: pathlib.Path, beam: str, **properties) -> dict:
    """Runs ImageExampleGen, Deduplicator and Preprocessor, and returns what they wrote."""
    context = base_beam_executor.BaseBeamExecutor.Context(
        beam_pipeline_args=shlex.split(beam), tmp_dir=str(folder / "tmp")
    )
    raw, clean, ready = (standard_artifacts.Examples() for _ in range(3))
    report, quarantine = DeduplicationReport(), QuarantineReport()
    for number, artifact in enumerate((raw, clean, ready, report, quarantine)):
        artifact.uri = str(folder / str(number))
        os.makedirs(artifact.uri)
    image_example_gen.Executor(context).Do({}, {"examples": [raw]}, {"source": source})
    deduplicator.Executor(context).Do(
        {"examples": [raw]},
        {"deduplicated_examples": [clean], "report": [report]},
        {"downstream_test_sets": "[]", "within_train": 0, **properties},
    )
    preprocess(context, clean, ready, quarantine)
    names = sorted(os.listdir(report.uri))
    return {
        "report": {name: pathlib.Path(report.uri, name).read_text("utf-8") for name in names},
        "quarantine": pathlib.Path(quarantine.uri, "quarantine.jsonl").read_text("utf-8"),
        "raw": sorted_examples(raw.uri),
        "info": DatasetInfo.read(ready.uri),
        "shards": shards(ready.uri),
    }


def preprocess(context, clean, ready, quarantine) -> None:
    preprocessor.Executor(context).Do(
        {"examples": [clean]},
        {"preprocessed_examples": [ready], "quarantine": [quarantine]},
        {"num_shards": 3},
    )


def sorted_examples(folder: str) -> dict[str, list[bytes]]:
    """The serialized examples of each split, whatever their order."""
    paths = {split: examples.list_shards(folder, split) for split in SPLITS}
    return {
        split: sorted(tf.data.TFRecordDataset(found).as_numpy_iterator())
        for split, found in paths.items()
    }


def shards(folder: str) -> dict[str, bytes]:
    """Relative path → content of every file of an Examples folder."""
    paths = [path for path in pathlib.Path(folder).rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_the_job_server_has_the_version_of_beam():
    assert downloads.beam_version() == apache_beam.__version__


def test_processes_are_listed_and_stopped_with_their_children(tmp_path):
    code = (
        "import subprocess, sys, time\n"
        "subprocess.run([sys.executable, '-c', 'import time; time.sleep(99)'])"
    )
    pid = processes.start(str(tmp_path), "sleeper", [sys.executable, "-c", code], {})
    assert processes.list_running(str(tmp_path)) == {"sleeper": pid}
    while not (children := _children(pid)):
        time.sleep(0.1)
    # A process that got the id of one that ended is not ours.
    (tmp_path / "other.pid").write_text(f"{os.getpid()} Thu_Jan_1_00:00:00_1970")
    assert processes.stop_all(str(tmp_path)) == ["sleeper"]
    assert processes.list_running(str(tmp_path)) == {}
    assert not [child for child in children if processes._born(child)]
    assert [path.name for path in tmp_path.iterdir()] == ["sleeper.log"]


def test_a_process_that_ends_at_once_is_an_error_that_names_its_log(tmp_path):
    processes.start(str(tmp_path), "brief", [sys.executable, "-c", "print('no')"], {})
    with pytest.raises(RuntimeError, match=r"brief has ended. See .*/brief\.log"):
        processes.wait_until(lambda: False, str(tmp_path), "it listens", seconds=20)


def test_a_second_flink_in_one_folder_is_refused(tmp_path):
    code = "import time; time.sleep(99)"
    processes.start(str(tmp_path), "job-server", [sys.executable, "-c", code], {})
    try:
        with pytest.raises(ValueError, match="job-server of .* still run. Stop them: python -m "):
            engine.start(cluster=False, folder=str(tmp_path))
    finally:
        engine.stop(str(tmp_path))


def test_without_java_there_is_one_clear_error(tmp_path):
    """And nothing is left."""
    command = [sys.executable, "-m", "pipeline.flink", "start"]
    result = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "PATH": str(tmp_path)}
    )
    assert result.returncode == 1
    assert result.stderr == (
        "Error: Flink needs Java 11 or 17; found no `java` on PATH. Install it, such as: "
        "apt-get install openjdk-17-jre-headless\n"
    )


def test_what_cannot_be_downloaded_is_one_clear_error_and_leaves_no_folder(tmp_path, monkeypatch):
    (tmp_path / "mvn").write_text("#!/bin/sh\necho '[ERROR] no such host'\nexit 1\n")
    (tmp_path / "mvn").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(downloads.MissingToolError, match="mvn failed: .ERROR. no such host. Is "):
        downloads.fetch_job_server(str(tmp_path / "jars"))
    assert not list((tmp_path / "jars").iterdir())


@pytest.mark.flink
@pytest.mark.slow
def test_on_embedded_flink_the_digits_are_what_beams_own_runner_writes(jars, tmp_path):
    own = run_steps("digits", tmp_path / "own", "--runner=DirectRunner", within_train=1)
    with running(tmp_path / "flink", cluster=False) as flink:
        found = run_steps("digits", tmp_path / "run", flink.beam, within_train=1)
    # Besides where the files are, every byte of every shard and report is the same.
    assert found == own
    assert sum(map(len, found["raw"].values())) == 1797


def random_image(seed: int) -> Image.Image:
    """A smooth random image of 64x48 pixels that depends on the seed."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((64, 48), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def leaky_folder(tmp_path_factory) -> pathlib.Path:
    """Random images in splits; each tenth training image is a test image, encoded again."""
    path = tmp_path_factory.mktemp("leaky")
    for split, number, first in (("train", 2000, 0), ("val", 100, 10_000), ("test", 200, 20_000)):
        for index in range(number):
            seed = 20_000 + index // 10 if split == "train" and not index % 10 else first + index
            folder = path / split / ("cat", "dog")[seed % 2]
            folder.mkdir(parents=True, exist_ok=True)
            random_image(seed).save(folder / f"{index}.jpg", quality=80 + index % 9)
    return path


@pytest.mark.flink
@pytest.mark.slow
@pytest.mark.parametrize("mode", ["remove", "mark"])
def test_on_embedded_flink_leaks_are_what_beams_own_runner_finds(jars, mode, tmp_path):
    """Of training images in both other splits, and of evaluation images in the test split."""
    data = tmp_path / "data"
    seeds = {"train": [0, 1, 2, 11, 12, 21], "val": [10, 11, 12, 22], "test": [20, 21, 22, 23]}
    for split, found in seeds.items():
        for index, seed in enumerate(found):
            folder = data / split / ("cat", "dog")[seed % 2]
            folder.mkdir(parents=True, exist_ok=True)
            random_image(seed).save(folder / f"{split}-{index}.jpg", quality=80 + index)
    shutil.copy(data / "test/dog/test-1.jpg", data / "test/dog/again.jpg")
    properties = {"mode": mode, "within_train": 1}
    own = run_steps(f"folder:{data}", tmp_path / "own", "--runner=DirectRunner", **properties)
    report = json.loads(own["report"]["report.json"])
    assert report["leaked"] == {"eval": 2, "test": 2}
    assert (report["duplicates"], report["evaluation"]["duplicates"]) == (3, 1)
    with running(tmp_path / "flink", cluster=False) as flink:
        found = run_steps(f"folder:{data}", tmp_path / "run", flink.beam, **properties)
    assert found == own


@pytest.fixture(scope="module")
def expected(leaky_folder, tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("own")
    return run_steps(f"folder:{leaky_folder}", folder, "--runner=DirectRunner")


@pytest.fixture(scope="module")
def cluster(jars, tmp_path_factory):
    """Two TaskManagers with two slots each, for jobs of two tasks: one of them is to spare."""
    folder = tmp_path_factory.mktemp("cluster")
    with running(folder, cluster=True, task_managers=2) as flink:
        yield folder, flink, f"{flink.beam} --parallelism=2"


@pytest.mark.flink
@pytest.mark.slow
@pytest.mark.long
def test_a_killed_worker_of_a_cluster_changes_nothing(cluster, leaky_folder, expected, tmp_path):
    folder, flink, beam = cluster
    killer = threading.Thread(target=_kill_the_busy_one, args=(folder, flink.rest_port))
    killer.start()
    found = run_steps(f"folder:{leaky_folder}", tmp_path, beam)
    killer.join()
    assert "taskmanager-1" not in processes.list_running(str(folder)) or (
        "taskmanager-2" not in processes.list_running(str(folder))
    )
    assert json.loads(found["report"]["report.json"])["removed"] == 200
    assert found == expected


@pytest.mark.flink
@pytest.mark.slow
@pytest.mark.long
def test_without_its_worker_pool_a_job_fails_and_no_shard_is_cut(
    cluster, leaky_folder, expected, tmp_path
):
    folder, flink, beam = cluster
    context = base_beam_executor.BaseBeamExecutor.Context(
        beam_pipeline_args=shlex.split(beam), tmp_dir=str(tmp_path / "tmp")
    )
    (raw, ready), quarantine = (standard_artifacts.Examples() for _ in range(2)), QuarantineReport()
    for number, artifact in enumerate((raw, ready, quarantine)):
        artifact.uri = str(tmp_path / str(number))
    source = {"source": f"folder:{leaky_folder}"}
    image_example_gen.Executor().Do({}, {"examples": [raw]}, source)
    killer = threading.Thread(target=_kill_the_pool, args=(folder, flink.rest_port))
    killer.start()
    with pytest.raises(RuntimeError, match="failed in state FAILED"):
        preprocess(context, raw, ready, quarantine)
    killer.join()
    for path in pathlib.Path(ready.uri).rglob("data_tfrecord*"):
        assert list(examples.read_records(str(path)))  # raises an error if it is cut


def _kill_the_busy_one(folder: pathlib.Path, rest_port: int) -> None:
    """Kills the TaskManager that runs most of the tasks, as soon as the job is half done."""
    _wait_for_half(rest_port)
    managers = _get(rest_port, "/taskmanagers")["taskmanagers"]
    busy = min(managers, key=lambda manager: manager["freeSlots"])
    os.kill(processes.list_running(str(folder))[busy["id"]], signal.SIGKILL)


def _kill_the_pool(folder: pathlib.Path, rest_port: int) -> None:
    _wait_for_half(rest_port)
    os.killpg(processes.list_running(str(folder))["worker-pool"], signal.SIGKILL)


def _wait_for_half(rest_port: int) -> None:
    """Waits until a running job has finished tasks and has others to run."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for job in _get(rest_port, "/jobs/overview")["jobs"]:
            tasks = job["tasks"]
            if job["state"] == "RUNNING" and tasks["finished"] and tasks["running"]:
                return
        time.sleep(0.05)
    raise AssertionError("no job was seen half done")


def _get(rest_port: int, path: str) -> dict:
    with urllib.request.urlopen(f"http://127.0.0.1:{rest_port}{path}", timeout=20) as answer:
        return json.load(answer)


def _children(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-Ao", "pid=,ppid="], capture_output=True, text=True).stdout
    rows = [map(int, line.split()) for line in listed.splitlines()]
    return [child for child, parent in rows if parent == pid]


def test_the_make_targets_run_the_command():
    text = (ROOT / "Makefile").read_text("utf-8")
    targets = dict(re.findall(r"^(flink-\w+):.*\n\t@(.*)$", text, re.MULTILINE))
    assert set(targets) == {"flink-embedded", "flink-cluster"}
    for name, command in targets.items():
        words = shlex.split(command.replace("$(PYTHON)", sys.executable).split(" -- ")[0])
        result = subprocess.run([*words, "--help"], cwd=ROOT, capture_output=True, text=True)
        assert result.returncode == 0 and "Start Flink, run" in result.stdout
        assert ("--cluster" in words) == (name == "flink-cluster")


def test_pid_files_of_an_earlier_boot_do_not_stop_a_start(tmp_path, monkeypatch):
    (tmp_path / "taskmanager-2.pid").write_text("999999 Thu_Jan_1_00:00:00_1970")
    left = []
    monkeypatch.setattr(downloads, "require_java", lambda: "java")
    monkeypatch.setattr(engine, "_embed", lambda slots, folder: left.extend(tmp_path.glob("*.pid")))
    engine.start(cluster=False, folder=str(tmp_path))
    assert not left
