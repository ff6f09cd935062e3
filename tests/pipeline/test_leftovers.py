# SPDX-License-Identifier: Apache-2.0
"""What killed runs leave in a root is removed by the next run, and nothing else is."""

import os
import pathlib
import signal
import subprocess
import sys

import ml_metadata as mlmd
import pytest
from tfx.dsl.component.experimental.annotations import OutputArtifact
from tfx.dsl.component.experimental.decorators import component
from tfx.orchestration import metadata
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline
from tfx.types.standard_artifacts import Examples, Model

from pipeline.local import leftovers

KILL = "MIXER_TF_TEST_KILL"


@component
def Reader(examples: OutputArtifact[Examples]):
    pathlib.Path(examples.uri, "data").write_bytes(bytes(100))


@component
def Trainer(model: OutputArtifact[Model]):
    folder = pathlib.Path(model.uri, "partial-Format-Serving")
    folder.mkdir()
    (folder / "saved_model.pb").write_bytes(bytes(2_000_000))
    if os.environ.get(KILL) == "signal":
        os.kill(os.getpid(), signal.SIGKILL)
    if os.environ.get(KILL) == "Ctrl-C":
        raise KeyboardInterrupt
    folder.rename(folder.with_name("Format-Serving"))


def connection(root):
    return metadata.sqlite_metadata_connection_config(str(root / "metadata.sqlite"))


def run(root) -> None:
    LocalDagRunner().run(
        Pipeline(
            pipeline_name="small",
            pipeline_root=str(root),
            components=[Reader(), Trainer()],
            enable_cache=True,
            metadata_connection_config=connection(root),
        )
    )


def states(root) -> list[str]:
    executions = mlmd.MetadataStore(connection(root)).get_executions()
    names = mlmd.proto.Execution.State.Name
    return [names(e.last_known_state) for e in sorted(executions, key=lambda e: e.id)]


def files_below(root) -> set[str]:
    return {str(file.relative_to(root)) for file in root.rglob("*") if file.is_file()}


@pytest.fixture
def root(tmp_path) -> pathlib.Path:
    """Its name would be a pattern."""
    root = tmp_path / "root [1]"
    root.mkdir()
    return root


def stop(root, monkeypatch) -> None:
    """A run that is stopped in its Trainer."""
    monkeypatch.setenv(KILL, "Ctrl-C")
    with pytest.raises(KeyboardInterrupt):
        run(root)
    monkeypatch.delenv(KILL)


def test_after_a_complete_run_nothing_is_removed(root):
    run(root)
    before = files_below(root)
    assert leftovers.remove(connection(root), str(root)) == ()
    assert files_below(root) == before and states(root) == ["COMPLETE", "COMPLETE"]


def test_a_new_root_has_nothing_to_remove(root):
    assert leftovers.remove(connection(root), str(root)) == ()


def test_the_partial_output_of_a_stopped_step_is_removed(root, monkeypatch):
    stop(root, monkeypatch)
    assert states(root) == ["COMPLETE", "RUNNING"]
    assert "Trainer/model/2/partial-Format-Serving/saved_model.pb" in files_below(root)
    (note,) = leftovers.remove(connection(root), str(root))
    assert note == "removed what stopped runs had left (Trainer): 1 file, 2.0 MB"
    assert states(root) == ["COMPLETE", "CANCELED"]
    assert not (root / "Trainer" / "model" / "2").exists()
    assert leftovers.remove(connection(root), str(root)) == ()
    run(root)
    assert states(root) == ["COMPLETE", "CANCELED", "CACHED", "COMPLETE"]
    assert (root / "Trainer" / "model" / "4" / "Format-Serving" / "saved_model.pb").exists()


def test_temporary_folders_and_partial_versions_are_removed(root):
    run(root)
    kept = ["checkpoints/abc/checkpoint", "serving/17/saved_model.pb", "notes/2/mine.txt"]
    left = [
        *("Trainer/.system/executor_execution/2/.temp/beam-temp-a/part", "serving/.incoming-a/b"),
        "Reader/.system/stateful_working_dir/f00/file",
    ]
    before = files_below(root)
    for name in (*kept, *left):
        (root / name).parent.mkdir(parents=True)
        (root / name).write_bytes(bytes(500_000))
    (note,) = leftovers.remove(connection(root), str(root))
    assert note == "removed what stopped runs had left: 3 files, 1.5 MB"
    assert files_below(root) == before | set(kept)


def test_a_moved_root_loses_nothing_of_the_old_place(root, tmp_path, monkeypatch):
    stop(root, monkeypatch)
    moved = tmp_path / "moved"
    root.rename(moved)
    other = root / "Trainer" / "model" / "2" / "file"
    other.parent.mkdir(parents=True)
    other.touch()
    assert leftovers.remove(connection(moved), str(moved))
    assert other.exists() and not (moved / "Trainer" / "model" / "2").exists()


@pytest.mark.slow
def test_the_partial_output_of_a_killed_step_is_removed(root):
    program = "import pathlib, sys, test_leftovers; test_leftovers.run(pathlib.Path(sys.argv[1]))"
    paths = os.pathsep.join([os.path.dirname(__file__), os.getcwd()])
    killed = subprocess.run(
        [sys.executable, "-c", program, str(root)],
        env={**os.environ, KILL: "signal", "PYTHONPATH": paths},
        capture_output=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    (note,) = leftovers.remove(connection(root), str(root))
    assert note.startswith("removed what stopped runs had left (Trainer): ")
    assert states(root) == ["COMPLETE", "CANCELED"]
    assert not list(root.rglob(".temp")) and not list(root.rglob("partial-*"))
