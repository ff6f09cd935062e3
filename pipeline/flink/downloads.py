# SPDX-License-Identifier: Apache-2.0
"""Fetches the jars of Beam's job server from Maven Central, and those of Flink from PyPI."""

from __future__ import annotations

import glob
import os
import pathlib
import re
import shutil
import subprocess
import tarfile
import tempfile

from mixer_tf import storage

POM = pathlib.Path(__file__).with_name("pom.xml")
FLINK_VERSION = "1.19.3"
# Of the package, only these jars are needed: Flink itself, and its logging.
_FLINK_JARS = re.compile(r"/deps/lib/((flink-dist|log4j)[^/]*\.jar)$")
_PYTHONS = ("python3", "python", "/usr/bin/python3", "/usr/local/bin/python3")


class MissingToolError(ValueError):
    """A program that is needed does not exist here, or the jars cannot be downloaded."""


def require_java() -> str:
    """Returns the path of `java`.

    Raises:
        MissingToolError: there is none.
    """
    return _require("java", "Java 11 or 17", "apt-get install openjdk-17-jre-headless")


def beam_version() -> str:
    """Returns the version of Beam's job server, which must be that of the Python package."""
    text = POM.read_text("utf-8")
    return re.search(r"beam-runners-flink-[\d.]+</artifactId>\s*<version>(.+?)<", text).group(1)


def fetch_job_server(folder: str) -> str:
    """Returns the folder with the jars of the job server; fetches 152 MB if it does not exist.

    Args:
        folder: the folder for all jars.

    Raises:
        MissingToolError: Maven does not exist here, or cannot download the jars.
    """
    target = os.path.join(folder, f"beam-{beam_version()}")
    if not os.path.isdir(target):
        maven = _require("mvn", "Maven", "apt-get install maven")
        print("fetching Beam's job server for Flink, 152 MB, from Maven Central …", flush=True)
        with storage.replacing_folder(os.path.abspath(target)) as partial:
            command = [maven, "-q", "-B", "-f", str(POM), "dependency:copy-dependencies"]
            _run([*command, f"-DoutputDirectory={partial}"])
    return target


def fetch_flink(folder: str) -> str:
    """Returns the folder with the jars of Flink; fetches 235 MB if it does not exist.

    They are those of the package `apache-flink-libraries`; nothing of it is installed.

    Args:
        folder: the folder for all jars.

    Raises:
        MissingToolError: there is no pip, or it cannot download the package.
    """
    target = os.path.join(folder, f"flink-{FLINK_VERSION}")
    if not os.path.isdir(target):
        pip = [_find_pip(), "-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir"]
        print(f"fetching Flink {FLINK_VERSION}, 230 MB, from PyPI …", flush=True)
        with (
            tempfile.TemporaryDirectory(dir=folder) as download,
            storage.replacing_folder(os.path.abspath(target)) as partial,
        ):
            _run([*pip, "--dest", download, f"apache-flink-libraries=={FLINK_VERSION}"])
            storage.make_folder(partial)
            _extract_jars(glob.glob(os.path.join(download, "*.tar.gz"))[0], partial)
    return target


def _extract_jars(archive: str, folder: str) -> None:
    with tarfile.open(archive) as package:
        for member in package:
            if match := _FLINK_JARS.search(member.name):
                with open(os.path.join(folder, match.group(1)), "wb") as jar:
                    shutil.copyfileobj(package.extractfile(member), jar)


def _find_pip() -> str:
    for python in _PYTHONS:
        command = [python, "-m", "pip", "--version"]
        if shutil.which(python) and not subprocess.run(command, capture_output=True).returncode:
            return python
    raise MissingToolError(
        "Flink is downloaded by pip; found no python3 with pip. Install it, such as: "
        "apt-get install python3-pip"
    )


def _require(program: str, name: str, command: str) -> str:
    path = shutil.which(program)
    if path is None:
        raise MissingToolError(
            f"Flink needs {name}; found no `{program}` on PATH. Install it, such as: {command}"
        )
    return path


def _run(command: list[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if result.returncode:
        lines = (result.stdout + result.stderr).strip().splitlines() or ["no message"]
        raise MissingToolError(
            f"the jars must be downloadable; {os.path.basename(command[0])} failed: "
            f"{lines[0][:300]}. Is there a network?"
        )
