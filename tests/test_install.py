# SPDX-License-Identifier: Apache-2.0
"""`pip install .` in a fresh Python 3.10 environment, and the library alone at work there.

Downloads the packages of the library, a minute or two, and about 2 GB of disk.
"""

import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def run(*command, cwd) -> subprocess.CompletedProcess:
    result = subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return result


def test_every_file_of_the_library_is_in_the_package(tmp_path):
    """As a wheel is made, without the network: pages, styles and scripts are not modules."""
    for name in ("setup.py", "pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, tmp_path / name)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "mixer_tf", tmp_path / "mixer_tf", ignore=ignored)
    run(sys.executable, "setup.py", "--quiet", "build_py", "--build-lib=built", cwd=tmp_path)
    assert _files(tmp_path / "built" / "mixer_tf") == _files(tmp_path / "mixer_tf")


def _files(folder: pathlib.Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> pathlib.Path:
    """A virtual environment into which pip has installed a copy of the checkout alone."""
    folder = tmp_path_factory.mktemp("fresh")
    checkout = folder / "checkout"
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        checkout.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, checkout / name)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "mixer_tf", checkout / "mixer_tf", ignore=ignored)
    run(sys._base_executable, "-m", "venv", folder / "env", cwd=folder)
    assert "\npip install .\n" in README
    run(folder / "env" / "bin" / "pip", "install", "--quiet", ".", cwd=checkout)
    yield folder / "env" / "bin"
    shutil.rmtree(folder)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_library_alone_trains_and_predicts(environment, image_folder, tmp_path):
    packages = run(environment / "pip", "list", cwd=tmp_path).stdout
    assert "tensorflow " in packages and not re.search(r"^(tfx|apache-beam) ", packages, re.M)
    (code,) = re.findall(r"^```python\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
    run(environment / "python", "-c", code, cwd=tmp_path)
    assert "mixer_b16" in run(environment / "mixer", "models", cwd=tmp_path).stdout
    options = ["--output=model", "--set", "training.epochs=1"]
    run(environment / "mixer", "train", f"--source=folder:{image_folder}", *options, cwd=tmp_path)
    image = next(image_folder.glob("*/*.png"))
    assert "cat" in run(environment / "mixer", "predict", "model", image, cwd=tmp_path).stdout
