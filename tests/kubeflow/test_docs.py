# SPDX-License-Identifier: Apache-2.0
"""The commands of docs/kubeflow.md and docs/vertex.md run, in their order."""

import json
import pathlib
import re
import shlex
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
PAGES = ("kubeflow.md", "vertex.md")


def commands(page: str) -> list[list[str]]:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines if line.strip()]


@pytest.mark.parametrize("page", PAGES)
def test_files_and_links_exist(page):
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    for name in re.findall(r"\]\(([\w./-]+)\)", text):
        assert (ROOT / "docs" / name).exists(), name
    for name in re.findall(r"`((?:kubeflow|pipeline)/[\w./-]+)`", text):
        assert (ROOT / name).exists(), name


def test_targets_of_the_images_exist():
    text = (ROOT / "docs" / "kubeflow.md").read_text(encoding="utf-8")
    dockerfile = (ROOT / "kubeflow" / "Dockerfile").read_text(encoding="utf-8")
    for target in re.findall(r"--target ([\w-]+)", text):
        assert re.search(rf"^FROM .* AS {target}$", dockerfile, flags=re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_commands_run(page, tmp_path):
    for command in commands(page):
        assert command[0] == "python"
        command[0] = sys.executable
        if command[1] == "kubeflow/submit.py":
            command[1] = str(ROOT / command[1])
            command += [] if "--dry-run" in command else ["--dry-run"]
        result = subprocess.run(
            command,
            cwd=tmp_path,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, (command, result.stderr)
        if "--dry-run" in command:
            assert json.loads(result.stdout) and not result.stderr
