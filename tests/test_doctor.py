# SPDX-License-Identifier: Apache-2.0
"""Each check of the doctor on a machine that lacks what it checks for."""

import importlib.metadata
import pathlib
import runpy
import stat
import sys

import pytest
import setuptools
from packaging.requirements import Requirement

from mixer_tf import doctor
from mixer_tf.doctor import Level


def test_another_python_version_is_a_problem(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 12, 1, "final", 0))
    (finding,) = doctor.check_python()
    assert finding.level is Level.PROBLEM
    assert "make setup" in finding.fix


def test_packages_that_differ_from_the_lock_file_are_listed(monkeypatch, tmp_path):
    numpy = importlib.metadata.version("numpy")
    lock = tmp_path / "requirements.lock"
    lock.write_text(f"numpy==0.1 \\\n    --hash=sha256:00\nnot-there==2.0 \\\npytest=={numpy}x\n")
    monkeypatch.setattr(doctor, "_LOCK", lock)
    (finding,) = doctor.check_packages()
    assert finding.level is Level.PROBLEM
    assert f"numpy {numpy} instead of 0.1, not-there missing instead of 2.0" in finding.text
    lock.write_text(f"numpy=={numpy} \\\n")
    (finding,) = doctor.check_packages()
    assert finding.level is Level.OK


def test_a_tensorflow_that_cannot_be_imported_is_a_problem(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    (finding,) = doctor.check_tensorflow()
    assert finding.level is Level.PROBLEM
    assert finding.text.startswith("TensorFlow cannot be imported: ")


def test_cores_are_those_that_this_process_may_use(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {4, 5, 6})
    monkeypatch.setattr("tensorflow.config.list_physical_devices", lambda kind: [])
    monkeypatch.setattr(doctor.os.path, "exists", lambda path: False)
    assert [*doctor.check_tensorflow()][-1].text == "no GPU; training uses 3 CPU cores"


@pytest.mark.parametrize(
    ("flags", "level", "text"),
    [
        ("fpu sse2 avx avx2 fma", Level.OK, "processor with avx, avx2, fma"),
        ("fpu sse2", Level.PROBLEM, "the processor has no AVX, which TensorFlow needs"),
    ],
)
def test_the_processor_must_have_avx(monkeypatch, flags, level, text):
    monkeypatch.setattr(doctor.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(doctor, "_read", lambda path: f"processor : 0\nflags\t\t: {flags}\n")
    (finding,) = doctor.check_cpu()
    assert (finding.level, finding.text) == (level, text)


def test_little_free_memory_and_disk_space_are_noted(monkeypatch):
    monkeypatch.setattr(doctor, "_read", lambda path: "MemAvailable:    1048576 kB\n")
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: _Disk())
    (memory,), (disk,) = doctor.check_memory(), doctor.check_disk()
    assert (memory.level, memory.text) == (Level.NOTE, "1.0 GiB of memory free")
    assert (disk.level, disk.text) == (Level.NOTE, "2.0 GiB of disk free here")


class _Disk:
    free = 2 << 30


def put_docker_on_path(monkeypatch, folder, script: str) -> None:
    program = folder / "docker"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_docker_is_noted_if_it_is_missing_or_does_not_answer(monkeypatch, tmp_path):
    put_docker_on_path(monkeypatch, tmp_path, "echo 24.0.7")
    (finding,) = doctor.check_docker()
    assert (finding.level, finding.text) == (Level.OK, "Docker 24.0.7")
    put_docker_on_path(monkeypatch, tmp_path, "exit 1")
    (finding,) = doctor.check_docker()
    assert "does not answer" in finding.text and "systemctl start docker" in finding.fix
    monkeypatch.setenv("PATH", "/nowhere")
    (finding,) = doctor.check_docker()
    assert finding.text.startswith("no Docker")


def test_a_tpu_named_by_the_environment_is_found(monkeypatch):
    monkeypatch.setenv("TPU_NAME", "my-tpu")
    assert "my-tpu" in next(doctor.check_tpu()).text


def test_the_extras_are_those_of_setup(monkeypatch):
    found = {}
    monkeypatch.setattr(setuptools, "setup", lambda **options: found.update(options))
    runpy.run_path(str(pathlib.Path(doctor.__file__).parents[1] / "setup.py"))
    extras = {
        extra: tuple(Requirement(text).name for text in texts)
        for extra, texts in found["extras_require"].items()
        if extra != "all"
    }
    assert extras == doctor._EXTRAS


def test_a_missing_extra_is_noted_with_its_command(monkeypatch):
    installed = doctor._installed_version
    monkeypatch.setattr(
        doctor, "_installed_version", lambda name: None if name == "tfx" else installed(name)
    )
    (finding,) = [found for found in doctor.check_extras() if found.level is Level.NOTE]
    assert finding.text == "extra 'pipeline' without tfx"
    assert finding.fix
