# SPDX-License-Identifier: Apache-2.0
"""`make setup`: the real script, on a lock of one package, without the network."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
# The commands that a bare machine has.
TOOLS = ("cat", "cksum", "cut", "date", "dirname", "env", "expand", "grep")
TOOLS += ("make", "mkdir", "mv", "rm", "sed", "sh", "sort")


@pytest.fixture
def uv() -> str:
    ours = ROOT / ".tools" / "uv" / "bin" / "uv"
    found = str(ours) if ours.exists() else shutil.which("uv")
    if not found:
        pytest.skip("needs uv: on PATH, or in .tools/uv where `make setup` puts it")
    return found


@pytest.fixture
def checkout(tmp_path) -> pathlib.Path:
    """A checkout whose path has a space in it, and whose lock holds setuptools only."""
    folder = tmp_path / "my checkout"
    folder.mkdir()
    for name in ("Makefile", "setup.py", "pyproject.toml", ".python-version", "README.md"):
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "bin", folder / "bin")
    (folder / "mixer_tf").mkdir()
    (folder / "mixer_tf" / "__init__.py").touch()
    shutil.copy(ROOT / "mixer_tf" / "version.py", folder / "mixer_tf" / "version.py")
    lock = (ROOT / "requirements.lock").read_text()
    entry = re.search(r"^setuptools==(?:.*\\\n)+.*\n", lock, re.MULTILINE).group()
    (folder / "requirements.lock").write_text(entry)
    return folder


@pytest.fixture
def path(uv, tmp_path) -> pathlib.Path:
    """What PATH holds: a bare machine's commands and uv; no Python."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in TOOLS:
        (folder / name).symlink_to(shutil.which(name))
    (folder / "uv").symlink_to(uv)
    return folder


def make(checkout, path, *targets, **environment) -> subprocess.CompletedProcess:
    variables = {"HOME": os.environ["HOME"], "PATH": str(path), "UV_OFFLINE": "1"}
    variables["UV_CACHE_DIR"] = subprocess.check_output([path / "uv", "cache", "dir"]).strip()
    variables |= environment
    return subprocess.run(
        ["make", *targets], cwd=checkout, env=variables, capture_output=True, text=True
    )


def add_python(path: pathlib.Path) -> None:
    (path / "python3.10").symlink_to(os.path.realpath(sys.executable))


def set_up(checkout, path, **environment) -> str:
    result = make(checkout, path, "setup", **environment)
    if "not found in the cache" in result.stderr or "Network connectivity" in result.stderr:
        pytest.skip("uv's cache does not hold setuptools; `make setup` once fills it")
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_prepares_an_environment_once_and_again_when_the_lock_changes(checkout, path):
    add_python(path)
    assert "ready: .venv" in set_up(checkout, path)
    package = subprocess.run(
        [checkout / ".venv/bin/python", "-c", "import mixer_tf; print(mixer_tf.__file__)"],
        cwd="/",
        capture_output=True,
        text=True,
    )
    assert package.stdout.strip() == str(checkout / "mixer_tf" / "__init__.py")
    assert (checkout / ".venv/bin/mixer").exists()

    assert set_up(checkout, path) == ""

    with (checkout / "requirements.lock").open("a") as lock:
        lock.write("# changed\n")
    assert "ready: .venv" in set_up(checkout, path)


def test_a_pyenv_version_of_another_python_does_not_matter(checkout, path):
    shim = path / "python3.10"
    shim.write_text(
        '#!/bin/sh\n[ -z "${PYENV_VERSION:-}" ] || exit 127\n'
        f'exec "{os.path.realpath(sys.executable)}" "$@"\n'
    )
    shim.chmod(0o755)
    assert "ready: .venv" in set_up(checkout, path, PYENV_VERSION="3.12.1", HOME=str(path))


def test_an_interrupted_set_up_starts_from_nothing(checkout, path):
    add_python(path)
    set_up(checkout, path)
    (checkout / ".venv/set-up").write_text("unfinished\n")
    (checkout / ".venv/half-written").touch()
    assert "ready: .venv" in set_up(checkout, path)
    assert not (checkout / ".venv/half-written").exists()


def test_a_checkout_that_was_moved_gets_scripts_with_the_new_path(checkout, path):
    add_python(path)
    set_up(checkout, path)
    moved = checkout.rename(checkout.with_name("moved"))
    assert "ready: .venv" in set_up(moved, path)
    scripts = [script for script in (moved / ".venv/bin").iterdir() if not script.is_symlink()]
    assert not [script for script in scripts if f"{checkout}/" in script.read_text()]


def test_a_package_with_another_hash_stops_the_set_up(checkout, path):
    add_python(path)
    lock = checkout / "requirements.lock"
    lock.write_text(re.sub(r"sha256:[0-9a-f]{64}", "sha256:" + "0" * 64, lock.read_text()))
    result = make(checkout, path, "setup")
    assert result.returncode != 0
    assert "make setup: the packages could not be installed" in result.stderr
    assert (checkout / ".venv/set-up").read_text() == "unfinished\n"


def test_without_python_310_one_line_says_how_to_get_it(checkout, path):
    if any(
        pathlib.Path(folder, "python3.10").exists() for folder in ("/usr/bin", "/usr/local/bin")
    ):
        pytest.skip("this machine has a Python 3.10 in a place where the script looks")
    result = make(checkout, path, "setup", HOME=str(path))
    assert result.returncode != 0
    ours = [line for line in result.stderr.splitlines() if not line.startswith("make: ")]
    assert len(ours) == 1
    assert "pyenv install 3.10" in ours[0]


def test_plain_make_lists_every_target():
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True).stdout
    for target in ("setup", "demo", "test", "test-all", "lint", "clean", "help"):
        assert re.search(rf"^  make {target} ", listed, re.MULTILINE), target


def test_make_tensorboard_shows_the_default_folder_of_all_trainings():
    words = ["make", "-n", "tensorboard", "PORT=7000"]
    shown = subprocess.run(words, cwd=ROOT, capture_output=True, text=True).stdout
    # A make above this one adds lines about the folder that it enters and leaves.
    commands = [line.rstrip() for line in shown.splitlines() if "tensorboard " in line]
    assert len(commands) == 1
    assert commands[0].endswith(".venv/bin/tensorboard --logdir runs --port 7000")
